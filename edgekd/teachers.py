"""Teachers as objectives see them: a batch in, a View out, whether asked live or read from a cache."""

from typing import Protocol

import torch

from edgekd.cache.store import LogitCache
from edgekd.data.batch import Batch
from edgekd.methods.contract import Spec, View
from edgekd.models.network import Network
from edgekd.training.formats import Format


class Teacher(Protocol):
    """What distillation asks of a teacher."""

    @property
    def spec(self) -> Spec:
        """Its classes and what its views give."""

    def __call__(self, batch: Batch) -> View:
        """What it says of this batch; never tracked by autograd."""


class Live:
    """A frozen network in evaluation mode, asked at every step."""

    def __init__(self, network: Network, form: Format) -> None:
        self.network = network.eval().requires_grad_(False)
        self.form = form
        self.spec = Spec(len(network.spec.classes), frozenset({"logits"}))

    def __call__(self, batch: Batch) -> View:
        """Logits of the batch's own canvases: the teacher sees what the student sees."""
        with torch.no_grad(), self.form.autocast(batch.canvas.device):
            return View(logits=self.network(batch.canvas).float())


class Cached:
    """Logits stored earlier, by (view, index)."""

    def __init__(self, cache: LogitCache) -> None:
        self.cache = cache
        self.spec = Spec(cache.plan.classes, frozenset({"logits"}))

    def __call__(self, batch: Batch) -> View:
        """The stored logits of these images in this view."""
        return View(logits=self.cache.logits(batch.view, batch.index).to(batch.canvas.device))
