"""Soft distillation through a token: Touvron et al. (2021), DeiT, arXiv 2012.12877, section 4, soft distillation.

The class token learns from the labels, the distillation token from the teacher's softened probabilities.
"""

from dataclasses import dataclass

from edgekd.data.batch import Batch
from edgekd.methods.contract import Method, Part, Side
from edgekd.methods.labels import label_loss
from edgekd.methods.ranges import check_above_zero, check_share
from edgekd.methods.softening import divergence, logits_of
from edgekd.models.outputs import HEADS, Output

TOKEN = "token"
CLASS = "class"


@dataclass(frozen=True)
class Options:
    """The paper's values: `weight` is its lambda, of the distillation loss; the labels' has 1 - weight."""

    temperature: float = 3.0
    weight: float = 0.1


class DeitSoft(Method):
    """The method `deit-soft`, for students with a distillation token (deit_tiny_distilled_patch16_224)."""

    follows = frozenset({"temperature"})
    student_needs = frozenset({"logits", HEADS + TOKEN})

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_above_zero(options, "temperature")
        check_share(options, "weight")
        self.options = options
        self.label_weight = 1 - options.weight
        self.class_weight = 0.0

    def build(self, student: Side, teacher: Side) -> None:
        """Where the class token has a head of its own, its labels' loss replaces that of the mean of both heads."""
        if HEADS + CLASS in student.gives:
            self.student_needs = self.student_needs | {HEADS + CLASS}
            self.class_weight, self.label_weight = 1 - self.options.weight, 0.0

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`token` over all images; `ce_class` over the labels."""
        token = student.heads[TOKEN].float()
        rows = divergence(token, logits_of(teacher, "teacher"), self.options.temperature)
        parts = {"token": Part(rows.mean(), self.options.weight)}
        if self.class_weight:
            parts["ce_class"] = Part(label_loss(student.heads[CLASS], batch), self.class_weight, "labels")
        return parts


def create(options: Options) -> DeitSoft:
    """The method with these settings."""
    return DeitSoft(options)
