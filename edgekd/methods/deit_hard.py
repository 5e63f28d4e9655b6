"""Hard distillation through a token: Touvron et al. (2021), DeiT, arXiv 2012.12877, section 4, hard-label distillation.

The class token learns from the labels, the distillation token from the class that the teacher names; half each.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from edgekd.data.batch import Batch
from edgekd.methods.contract import Method, Part, Side
from edgekd.methods.deit_soft import CLASS, TOKEN
from edgekd.methods.labels import label_loss
from edgekd.methods.softening import logits_of
from edgekd.models.outputs import HEADS, Output


def deit_hard_loss(token: Tensor, teacher: Tensor) -> Tensor:
    """Cross-entropy of the token's logits with the teacher's answers, mean over the batch; both [batch, classes]."""
    return F.cross_entropy(token, teacher.argmax(dim=1))


@dataclass(frozen=True)
class Options:
    """Nothing to set: both losses count by a half."""


class DeitHard(Method):
    """The method `deit-hard`; the teacher's top class is all it takes, so a top-k cache does."""

    student_needs = frozenset({"logits", HEADS + TOKEN})
    teacher_needs = frozenset({"logits|logits:topk"})

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options
        self.label_weight = 0.5
        self.class_weight = 0.0

    def build(self, student: Side, teacher: Side) -> None:
        """Where the class token has a head of its own, its labels' loss replaces that of the mean of both heads."""
        if HEADS + CLASS in student.gives:
            self.student_needs = self.student_needs | {HEADS + CLASS}
            self.class_weight, self.label_weight = 0.5, 0.0

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`token` over all images; `ce_class` over the labels."""
        parts = {"token": Part(deit_hard_loss(student.heads[TOKEN].float(), logits_of(teacher, "teacher")), 0.5)}
        if self.class_weight:
            parts["ce_class"] = Part(label_loss(student.heads[CLASS], batch), self.class_weight, "labels")
        return parts


def create(options: Options) -> DeitHard:
    """The method with these settings."""
    return DeitHard(options)
