"""Networks that learn from the labels and from each other, by a method.

Deep mutual learning: Zhang, Xiang, Hospedales, Lu (2018), arXiv 1706.00384, there with kd at temperature 1 and both
losses of weight 1.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations

import torch
from torch import nn

from edgekd.data.batch import Batch
from edgekd.errors import UsageError
from edgekd.methods.contract import Method, Part
from edgekd.methods.labels import LabelLoss
from edgekd.methods.ranges import Ramp
from edgekd.models.network import Network
from edgekd.models.observer import Observer
from edgekd.models.outputs import Output
from edgekd.objectives.objective import Objective
from edgekd.objectives.weighing import Weighing

Pair = tuple[str, str]
"""Who learns, and from whom."""


class Mutual(Objective):
    """Each network's loss is that of a student whose teachers are the others, averaged; their outputs are detached.

    `networks` by name, "" the first one, which is deployed; `methods` has one built method for every ordered pair.
    """

    def __init__(
        self,
        networks: Mapping[str, Network],
        methods: Mapping[Pair, Method],
        alpha: float | None = None,
        labels: LabelLoss | None = None,
        ramp: Ramp | None = None,
    ) -> None:
        """`alpha` and its `ramp` as in `Weighing`."""
        super().__init__()
        self.networks = networks
        self.peers = nn.ModuleList(networks.values())
        self.pairs = dict(methods)
        self.methods = nn.ModuleList(methods.values())
        self.labels = labels or LabelLoss()
        method = next(iter(methods.values()))
        self.is_relational = method.is_relational
        self.weighing = Weighing(method, alpha, ramp)
        self._observers = {name: Observer(network, self._needs(name)) for name, network in networks.items()}

    def _needs(self, name: str) -> frozenset[str]:
        """What the network must show as a student and as a teacher; it gives dense logits."""
        own = [method.student_needs for (learner, _), method in self.pairs.items() if learner == name]
        others = [method.teacher_needs for (_, teacher), method in self.pairs.items() if teacher == name]
        return frozenset(need.partition("|")[0] for needs in (*own, *others) for need in needs)

    def forward(self, batch: Batch, progress: float, turn: str | None = None) -> dict[str, Part]:
        """The parts of every learner, those of a peer as `peers/NAME/kd`; with `turn` of this one alone."""
        seen: dict[str, Output] = {}
        for name, observer in self._observers.items():
            with torch.set_grad_enabled(turn in (None, name)):
                seen[name] = observer(batch.canvas)
        for method in self.pairs.values():
            method.move_to(progress)
        learners = tuple(self.networks) if turn is None else (turn,)
        parts: dict[str, Part] = {}
        for learner in learners:
            found = self._parts(learner, seen, batch, progress)
            parts |= {f"{learner}/{name}".lstrip("/"): part for name, part in found.items()}
        return parts

    def _parts(self, learner: str, seen: Mapping[str, Output], batch: Batch, progress: float) -> dict[str, Part]:
        teachers = [name for name in self.networks if name != learner]
        found = [self.pairs[learner, name](seen[learner], seen[name].detached(), batch, progress) for name in teachers]
        of_labels, of_method = self.weighing.at(progress)
        parts = {
            name: replace(
                part,
                value=torch.stack([each[name].value for each in found]).mean(),
                weight=of_method * part.weight,
            )
            for name, part in found[0].items()
        }
        logits = seen[learner].logits
        if self.weighing.counts_labels:
            if logits is None:
                raise UsageError("a peer gives no logits", "give peers that have a classifier")
            parts["ce"] = Part(self.labels(logits, batch), of_labels, "labels")
        return parts

    def changing(self, progress: float) -> dict[str, float]:
        """What a ramp changes, as it is at this point of the training."""
        return self.weighing.changing(progress)


def pairs_of(names: Mapping[str, Network]) -> list[Pair]:
    """Every ordered pair of the networks."""
    return list(permutations(names, 2))
