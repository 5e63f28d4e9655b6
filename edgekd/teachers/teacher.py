"""Teachers as objectives see them: a batch in, a View out, asked live, read from caches, or several as one."""

from collections.abc import Collection, Sequence
from typing import Protocol

import torch

from edgekd.cache.store import LogitCache
from edgekd.data.batch import Batch
from edgekd.methods.contract import Spec, View
from edgekd.models.network import Network


class Teacher(Protocol):
    """What distillation asks of a teacher."""

    @property
    def spec(self) -> Spec:
        """Its classes and what its views give."""

    def __call__(self, batch: Batch) -> View:
        """What it says of this batch; never tracked by autograd."""


class Live:
    """A frozen network in evaluation mode, asked at every step, in the number format of the training around it."""

    def __init__(self, network: Network) -> None:
        self.network = network.eval().requires_grad_(False)
        self.spec = Spec(len(network.spec.classes), frozenset({"logits"}))

    def __call__(self, batch: Batch) -> View:
        """Logits of the batch's own canvases: the teacher sees what the student sees."""
        with torch.no_grad():
            return View(logits=self.network(batch.canvas).float())


class Cached:
    """What was stored earlier, by (view, index): logits and, where the cache has these columns, features."""

    def __init__(self, cache: LogitCache, needs: Collection[str] = ()) -> None:
        """`needs` are the method's: of the further columns only these are read."""
        self.cache = cache
        columns = {name.replace("map:", "features:", 1): name for name in cache.plan.extras}
        logits = "logits:topk" if cache.plan.store == "topk" else "logits"
        self.spec = Spec(cache.plan.classes, frozenset({logits, *columns}))
        wanted = {each for need in needs for each in need.split("|")}
        self._columns = {given: name for given, name in columns.items() if given in wanted}

    def __call__(self, batch: Batch) -> View:
        """What is stored of these images in this view; float32."""
        # A bf16 training's autocast cannot join stored fp16.
        with torch.autocast("cpu", enabled=False):
            return self._read(batch)

    def _read(self, batch: Batch) -> View:
        device = batch.canvas.device
        logits = self.cache.logits(batch.view, batch.index).to(device)
        if not self._columns:
            return View(logits=logits)
        stored = self.cache.read(batch.view, batch.index, tuple(self._columns.values()))
        found = {given: stored[name].float().to(device) for given, name in self._columns.items()}
        pooled = found.pop("pooled", None)
        return View(logits, pooled, {given.removeprefix("features:"): value for given, value in found.items()})


class Ensemble:
    """Several teachers as one: the weighted mean of their logits.

    At every temperature its softened probabilities are the weighted geometric mean of theirs (Hinton, Vinyals, Dean
    2015, section 1, name it beside the arithmetic mean, which no single row of logits gives at all temperatures).
    """

    def __init__(self, members: Sequence[Teacher], weights: Sequence[float]) -> None:
        """`weights` above 0, of any sum; all members know the same classes."""
        self.members = members
        self.weights = [weight / sum(weights) for weight in weights]
        everywhere = frozenset({"logits"})
        is_dense = all(everywhere <= member.spec.gives for member in members)
        self.spec = Spec(members[0].spec.classes, everywhere if is_dense else frozenset({"logits:topk"}))

    def __call__(self, batch: Batch) -> View:
        """The mean over the members, float32."""
        said = [member(batch).logits for member in self.members]
        parts = [weight * each for weight, each in zip(self.weights, said, strict=True) if each is not None]
        return View(logits=torch.stack(parts).sum(0))
