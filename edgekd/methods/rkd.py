"""Relational distillation: Park, Kim, Lu, Cho (2019), arXiv 1904.05068, distance-wise and angle-wise loss.

The student's pooled features keep the teacher's distances between images, as multiples of their mean, and the angles
at the corners of all triangles of images.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.data.batch import Batch
from edgekd.methods.contract import Method, Part
from edgekd.methods.ranges import check_not_negative
from edgekd.methods.softening import without_autocast
from edgekd.models.outputs import POOLED, Output

SMALLEST = 1e-12


def distances(features: Tensor) -> Tensor:
    """Distances of all pairs as multiples of the mean of those above 0: [batch, width] to [batch, batch]."""
    squares = (features[:, None] - features[None]).square().sum(dim=2)
    lengths = torch.where(squares > SMALLEST, squares.clamp(min=SMALLEST).sqrt(), 0.0)
    mean = lengths.sum() / (lengths > 0).sum().clamp(min=1)
    return lengths / mean.clamp(min=SMALLEST)


def angles(features: Tensor) -> Tensor:
    """Cosines of the angles at every image between any two: [batch, width] to [batch, batch, batch]."""
    directions = F.normalize(features[None] - features[:, None], dim=2)
    return directions @ directions.transpose(1, 2)


def rkd_loss(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Huber losses of distances and of angles, scalars; features [batch, width], of any two widths."""
    with without_autocast(student):
        student, teacher = student.float(), teacher.float()
        return (
            F.smooth_l1_loss(distances(student), distances(teacher)),
            F.smooth_l1_loss(angles(student), angles(teacher)),
        )


@dataclass(frozen=True)
class Options:
    """The paper's weights where both are used: `distance` and `angle`."""

    distance: float = 25.0
    angle: float = 50.0


class Rkd(Method):
    """The method `rkd`. It relates the images of a batch; it does not gather over processes.

    The angles of a batch are batch^3 numbers: 512 images take half a gigabyte of each network's.
    """

    follows = frozenset({"angle", "distance"})
    student_needs = frozenset({"logits", POOLED})
    teacher_needs = frozenset({POOLED})
    is_relational = True

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_not_negative(options, "distance", "angle")
        self.options = options

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`distance` and `angle`, both over the batch; a batch of one has neither, both are 0."""
        distance, angle = rkd_loss(*pooled_of(student, teacher))
        return {
            "distance": Part(distance, self.options.distance, "batch"),
            "angle": Part(angle, self.options.angle, "batch"),
        }


def pooled_of(student: Output, teacher: Output) -> tuple[Tensor, Tensor]:
    """The pooled features [batch, width] of both in float32; the teacher's cut off from autograd."""
    if student.pooled is None or teacher.pooled is None:
        raise ValueError("an output without pooled features, which the method states as a need")
    return student.pooled.float(), teacher.pooled.detach().float()


def create(options: Options) -> Rkd:
    """The method with these settings."""
    return Rkd(options)
