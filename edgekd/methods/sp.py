"""Similarity preserving: Tung, Mori (2019), arXiv 1907.09682, section 3.

Images whose maps the teacher finds alike are to have maps alike in the student.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from edgekd.data.batch import Batch
from edgekd.methods.contract import Method, Part, Side
from edgekd.methods.ranges import check_above_zero
from edgekd.methods.softening import without_autocast
from edgekd.methods.stages import Pair, maps_of, needs_of, pairs_of
from edgekd.models.outputs import Output


def similarity(features: Tensor) -> Tensor:
    """Products of all pairs of images, rows of length 1: maps [batch, ...] to [batch, batch]."""
    rows = features.flatten(1)
    return F.normalize(rows @ rows.T, dim=1)


def sp_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """||G_teacher - G_student||^2 / batch^2 of maps [batch, channels, height, width], of any two shapes."""
    with without_autocast(student):
        return F.mse_loss(similarity(student.float()), similarity(teacher.float()))


@dataclass(frozen=True)
class Options:
    """`gamma`: the paper's weight. `taps`: a pair STUDENT:TEACHER; default: the last stage of both."""

    gamma: float = 3000.0
    taps: str = ""


class Sp(Method):
    """The method `sp`. It relates the images of a batch; it does not gather over processes."""

    follows = frozenset({"gamma"})
    is_relational = True
    teacher_needs = frozenset()

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_above_zero(options, "gamma")
        self.options = options
        self.pairs: tuple[Pair, ...] = ()

    def build(self, student: Side, teacher: Side) -> None:
        """Pair the last stages, or those named."""
        found = pairs_of(student, teacher, self.options.taps, "sp")
        self.pairs = found if self.options.taps else found[-1:]
        self.student_needs, self.teacher_needs = needs_of(self.pairs)
        self.student_needs = self.student_needs | {"logits"}

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`sp`, the sum over the pairs, over the batch as a whole; a single image is like itself: 0."""
        losses = [sp_loss(*maps_of(student, teacher, each)) for each in self.pairs]
        return {"sp": Part(sum(losses[1:], losses[0]), self.options.gamma, "batch")}


def create(options: Options) -> Sp:
    """The method with these settings."""
    return Sp(options)
