"""One for all, across architectures: Hao et al. (2023), OFA-KD, arXiv 2310.19444, section 3.

Maps of a CNN and of a transformer cannot be compared. So each stage of the student gets a classifier branch of its own,
and all of them, and the student itself, learn the teacher's probabilities, that of the target class strengthened.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.data.batch import Batch
from edgekd.methods.contract import Method, Part, Side
from edgekd.methods.exits import Exit, halvings_to
from edgekd.methods.labels import target_shares
from edgekd.methods.ranges import check_above_zero, check_not_negative
from edgekd.methods.softening import logits_of
from edgekd.methods.stages import shape_at, taps_of
from edgekd.models.outputs import FEATURES, Output


def ofa_loss(student: Tensor, teacher: Tensor, target: Tensor, gamma: float, temperature: float) -> Tensor:
    """-sum over classes of w log q of each image, [batch]; logits [batch, classes], target [batch].

    w is the teacher's probability p; of the target class (1 + p)^gamma - 1, and of the others p^gamma.
    """
    probabilities = F.softmax(teacher / temperature, dim=1)
    is_target = F.one_hot(target, probabilities.shape[1]).float()
    wanted = (probabilities + is_target) ** gamma - is_target
    return -(wanted * F.log_softmax(student / temperature, dim=1)).sum(dim=1)


@dataclass(frozen=True)
class Options:
    """The authors' defaults: `gamma` strengthens the target class, the more the larger it is; both losses weigh 1."""

    gamma: float = 1.0
    temperature: float = 1.0
    exits_weight: float = 1.0
    final_weight: float = 1.0


class Ofa(Method):
    """The method `ofa`: logits of any teacher, maps of any student.

    A branch halves its map to the size of the last stage by separable convolutions, pools and classifies; the paper
    gives transformer students branches of transformer blocks. Of an image whose label is not known the teacher's answer
    is the target.
    """

    follows = frozenset({"exits_weight", "final_weight", "gamma", "temperature"})

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_above_zero(options, "gamma", "temperature")
        check_not_negative(options, "exits_weight", "final_weight")
        self.options = options
        self.taps: tuple[str, ...] = ()

    def build(self, student: Side, teacher: Side) -> None:
        """A branch for each stage of the student."""
        self.taps = taps_of(student, "student", "ofa")
        self.student_needs = frozenset({"logits", *(FEATURES + tap for tap in self.taps)})
        shapes = [shape_at(student, tap, "student", "ofa") for tap in self.taps]
        width, *last = shapes[-1]
        self.exits = nn.ModuleList(
            Exit(channels, width, student.classes, halvings_to((height, across), (last[0], last[1])))
            for channels, height, across in shapes
        )

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`exits`, the sum over the branches, and `final` of the student's own logits; both over all images."""
        ours, theirs, chosen = logits_of(student, "student"), logits_of(teacher, "teacher"), self.options
        shares = target_shares(batch, theirs)

        def loss(logits: Tensor) -> Tensor:
            rows = [share * ofa_loss(logits, theirs, each, chosen.gamma, chosen.temperature) for each, share in shares]
            return sum(rows[1:], rows[0]).mean()

        branches = [loss(branch(student.features[tap])[0]) for branch, tap in zip(self.exits, self.taps, strict=True)]
        return {
            "exits": Part(sum(branches[1:], branches[0]), chosen.exits_weight),
            "final": Part(loss(ours), chosen.final_weight),
        }


def create(options: Options) -> Ofa:
    """The method with these settings."""
    return Ofa(options)
