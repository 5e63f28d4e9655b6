"""Softened class probabilities: Hinton, Vinyals, Dean (2015), arXiv 1503.02531, section 2; P2's equation for KD."""

from dataclasses import dataclass

from torch import Tensor

from edgekd.data.batch import Batch
from edgekd.methods.contract import Method, Part
from edgekd.methods.ranges import check_above_zero
from edgekd.methods.softening import STANDARDIZED_WEIGHT, divergence, logits_of, standardized
from edgekd.models.outputs import Output


def kd_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 * KL(softmax(teacher/T) || softmax(student/T)), mean over the batch.

    `student` and `teacher` are logits [batch, classes]. T^2 keeps the gradient's size independent of T.
    """
    return divergence(student, teacher, temperature).mean()


@dataclass(frozen=True)
class Options:
    """`temperature`: softening of both; P2 finds 0.5 to 5 alike, Hinton uses 2 to 20.

    `standardize`: z-score the logits first, with the weights of method ls, which has this at temperature 2.
    """

    temperature: float = 4.0
    standardize: bool = False


class Kd(Method):
    """The method `kd`: cached logits are all it needs."""

    follows = frozenset({"temperature"})
    teacher_needs = frozenset({"logits|logits:topk"})
    alpha: float | None = 0.9
    """The usual division of the literature; P2 has 0.5 (`--alpha 0.5`). Measured: docs/results.md."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_above_zero(options, "temperature")
        self.options = options
        self.temperature: float | None = options.temperature
        if options.standardize:
            # The standard deviation of a row is that of all its logits.
            self.teacher_needs, self.temperature = frozenset({"logits"}), None
            self.alpha, self.label_weight = None, 0.1

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`kd` over the whole batch, labelled or not."""
        ours, theirs = logits_of(student, "student"), logits_of(teacher, "teacher")
        if not self.options.standardize:
            return {"kd": Part(kd_loss(ours, theirs, self.options.temperature))}
        value = kd_loss(standardized(ours), standardized(theirs), self.options.temperature)
        return {"kd": Part(value, STANDARDIZED_WEIGHT)}


def create(options: Options) -> Kd:
    """The method with these settings."""
    return Kd(options)
