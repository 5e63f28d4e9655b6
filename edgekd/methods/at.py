"""Attention transfer: Zagoruyko, Komodakis (2017), arXiv 1612.03928, activation-based maps.

Where a network looks: the squares of a map summed over its channels, as a vector of length 1. The paper adds up norms
of differences; here, as in the usual code (RepDistiller), their squares are averaged over images and positions.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from edgekd.data.batch import Batch
from edgekd.errors import UsageError
from edgekd.methods.contract import Method, Part, Side
from edgekd.methods.ranges import check_above_zero
from edgekd.methods.stages import Pair, maps_of, needs_of, pairs_of, resized
from edgekd.models.outputs import Output


def attention(features: Tensor) -> Tensor:
    """Maps [batch, channels, height, width] to unit vectors [batch, height * width]."""
    return F.normalize(features.square().mean(dim=1).flatten(1), dim=1)


def at_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the attention vectors of two maps; the larger one is averaged to the other's size."""
    student, teacher = student.float(), teacher.float()
    size = (min(student.shape[-2], teacher.shape[-2]), min(student.shape[-1], teacher.shape[-1]))
    return F.mse_loss(attention(resized(student, size)), attention(resized(teacher, size)))


@dataclass(frozen=True)
class Options:
    """`beta`: the weight, 1000 in the usual code for this mean.

    `taps`: pairs STUDENT:TEACHER, separated by commas; default: the stages by depth.
    """

    beta: float = 1000.0
    taps: str = ""


class At(Method):
    """The method `at`."""

    follows = frozenset({"beta"})
    teacher_needs = frozenset()

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_above_zero(options, "beta")
        self.options = options
        self.pairs: tuple[Pair, ...] = ()

    def build(self, student: Side, teacher: Side) -> None:
        """Pair the stages; maps of a single pixel, which look nowhere, are not compared."""
        found = pairs_of(student, teacher, self.options.taps, "at")
        # All are requested: a cache that lacked the last stage would pair the others anew.
        self.student_needs, self.teacher_needs = needs_of(found)
        self.student_needs = self.student_needs | {"logits"}
        self.pairs = tuple(each for each in found if _pixels(each) > 1)
        if not self.pairs:
            raise UsageError(
                f"--method at: the maps to compare have a single pixel ({', '.join(each.student for each in found)})",
                "name larger ones by --set taps=TAP:TAP, or use a method of pooled features, such as rkd",
            )

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`at`, the sum over the pairs, each a mean over all images."""
        losses = [at_loss(*maps_of(student, teacher, each)) for each in self.pairs]
        return {"at": Part(sum(losses[1:], losses[0]), self.options.beta)}


def _pixels(pair: Pair) -> int:
    (_, height, width), (_, their_height, their_width) = pair.student_shape, pair.teacher_shape
    return min(height, their_height) * min(width, their_width)


def create(options: Options) -> At:
    """The method with these settings."""
    return At(options)
