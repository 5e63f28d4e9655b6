"""Softened class probabilities: Hinton, Vinyals, Dean (2015), arXiv 1503.02531, section 2; P2's equation for KD."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from edgekd.data.batch import Batch
from edgekd.errors import UsageError
from edgekd.methods.contract import Method, Part
from edgekd.models.outputs import Output


def kd_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 * KL(softmax(teacher/T) || softmax(student/T)), mean over the batch.

    `student` and `teacher` are logits [batch, classes]. T^2 keeps the gradient's size independent of T.
    """
    student_log = F.log_softmax(student.float() / temperature, dim=1)
    teacher_log = F.log_softmax(teacher.float() / temperature, dim=1)
    return F.kl_div(student_log, teacher_log, reduction="batchmean", log_target=True) * temperature**2


@dataclass(frozen=True)
class Options:
    """`temperature`: softening of both; P2 finds 0.5 to 5 alike, Hinton uses 2 to 20."""

    temperature: float = 4.0


class Kd(Method):
    """The method `kd`: cached logits are all it needs."""

    teacher_needs = frozenset({"logits|logits:topk"})
    alpha = 0.5

    def __init__(self, options: Options) -> None:
        super().__init__()
        if not options.temperature > 0:
            raise UsageError(f"--set temperature={options.temperature}: out of range", "give a number above 0")
        self.temperature: float = options.temperature

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`kd` over the whole batch, labelled or not."""
        if student.logits is None or teacher.logits is None:
            raise UsageError("kd: an output without logits", "give a teacher and a student that have a classifier")
        return {"kd": Part(kd_loss(student.logits, teacher.logits, self.temperature))}


def create(options: Options) -> Kd:
    """The method with these settings."""
    return Kd(options)
