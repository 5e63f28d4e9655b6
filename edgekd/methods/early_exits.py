"""Be your own teacher: Zhang, Song, Gao, Chen, Bao, Ma (2019), arXiv 1905.08094, section 3.

Branches at the shallower stages learn from the labels, from the deepest classifier's softened answers and from its
features; the student's earlier stages get better by it. No teacher is asked.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgekd.data.batch import Batch
from edgekd.errors import UsageError
from edgekd.methods.contract import Method, Part, Side
from edgekd.methods.exits import Exit, halvings_to
from edgekd.methods.labels import label_loss
from edgekd.methods.ranges import check_above_zero, check_not_negative, check_share
from edgekd.methods.softening import divergence, logits_of
from edgekd.methods.stages import shape_at, taps_of
from edgekd.models.outputs import FEATURES, POOLED, Output


def hint_loss(features: Tensor, deepest: Tensor) -> Tensor:
    """Squared distance of an image's features to the deepest ones, mean over the batch; [batch, width] both.

    As in the paper; the authors' code takes the distance itself, of the whole batch, and leaves out the first branch.
    """
    return (features - deepest).square().sum(dim=1).mean()


def answer_loss(logits: Tensor, deepest: Tensor, temperature: float) -> Tensor:
    """KL of the branch's softened answers to the deepest ones, mean over the batch; logits [batch, classes].

    Without the T^2 of kd: the weight of this part was chosen so.
    """
    return divergence(logits, deepest, temperature).mean() / temperature**2


@dataclass(frozen=True)
class Options:
    """The authors' values: `alpha` weighs the deepest answers, 1 - alpha the labels, `hint` the features."""

    alpha: float = 0.3
    temperature: float = 3.0
    hint: float = 0.03


class EarlyExits(Method):
    """The method `early-exits`, self-distillation. The branches belong to the method and are not deployed."""

    follows = frozenset({"hint", "temperature"})
    asks_teacher = False
    teacher_needs = frozenset()
    student_needs = frozenset({"logits", POOLED})

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_above_zero(options, "temperature")
        check_share(options, "alpha")
        check_not_negative(options, "hint")
        self.options = options
        self.taps: tuple[str, ...] = ()

    def build(self, student: Side, teacher: Side) -> None:
        """A branch for each stage but the last."""
        stages = taps_of(student, "student", "early-exits")
        self.taps = stages[:-1]
        if not self.taps:
            raise UsageError(
                "--method early-exits: this student has a single stage, which is its own exit",
                "choose a student of several stages, such as resnet8",
            )
        self.student_needs = frozenset({"logits", POOLED, *(FEATURES + tap for tap in self.taps)})
        _, *last = shape_at(student, stages[-1], "student", "early-exits")
        shapes = [shape_at(student, tap, "student", "early-exits") for tap in self.taps]
        self.exits = nn.ModuleList(
            Exit(channels, student.shapes[POOLED][0], student.classes, halvings_to((height, width), (last[0], last[1])))
            for channels, height, width in shapes
        )

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`ce_exits` over the labels, `kd_exits` and `hint` over all images; sums over the branches."""
        if student.pooled is None:
            raise ValueError("an output without pooled features, which the method states as a need")
        final, deepest = logits_of(student, "student").detach(), student.pooled.detach().float()
        rows = [branch(student.features[tap]) for branch, tap in zip(self.exits, self.taps, strict=True)]
        labels = torch.stack([label_loss(logits, batch) for logits, _ in rows]).sum()
        answers = torch.stack([answer_loss(logits, final, self.options.temperature) for logits, _ in rows]).sum()
        hints = torch.stack([hint_loss(features, deepest) for _, features in rows]).sum()
        return {
            "ce_exits": Part(labels, 1 - self.options.alpha, "labels"),
            "kd_exits": Part(answers, self.options.alpha),
            "hint": Part(hints, self.options.hint),
        }


def create(options: Options) -> EarlyExits:
    """The method with these settings."""
    return EarlyExits(options)
