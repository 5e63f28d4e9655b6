"""Relations instead of values: Huang, You, Wang, Qian, Xu (2022), DIST, arXiv 2205.10536.

Two correlations are brought to 1: of an image's probabilities over the classes (inter), of a class's probabilities
over the images of the batch (intra).
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from edgekd.data.batch import Batch
from edgekd.methods.contract import Method, Part
from edgekd.methods.ranges import check_above_zero, check_not_negative
from edgekd.methods.softening import logits_of
from edgekd.models.outputs import Output


def distance(student: Tensor, teacher: Tensor) -> Tensor:
    """1 - Pearson's correlation of each row: [rows, length] to [rows]; 1 where a row is constant."""
    student, teacher = (each - each.mean(dim=1, keepdim=True) for each in (student, teacher))
    return 1 - F.cosine_similarity(student, teacher, dim=1)


def dist_loss(student: Tensor, teacher: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The inter- and the intra-class distance, scalars, times T^2; logits [batch, classes].

    The intra-class distance of a single image is 0: it has no other image to relate to.
    """
    ours, theirs = (F.softmax(each / temperature, dim=1) for each in (student, teacher))
    inter = distance(ours, theirs).mean()
    intra = distance(ours.T, theirs.T).mean() if len(ours) > 1 else inter.new_zeros(())
    return inter * temperature**2, intra * temperature**2


@dataclass(frozen=True)
class Options:
    """The paper's values on CIFAR-100; on ImageNet the temperature is 1. `beta` weighs inter, `gamma` intra."""

    temperature: float = 4.0
    beta: float = 2.0
    gamma: float = 2.0


class Dist(Method):
    """The method `dist`. Its intra-class part relates the images of a batch; it does not gather over processes."""

    follows = frozenset({"beta", "gamma", "temperature"})
    is_relational = True

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_above_zero(options, "temperature")
        check_not_negative(options, "beta", "gamma")
        self.options = options

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`inter` over the images, `intra` over the batch as a whole."""
        ours, theirs = logits_of(student, "student"), logits_of(teacher, "teacher")
        inter, intra = dist_loss(ours, theirs, self.options.temperature)
        return {"inter": Part(inter, self.options.beta), "intra": Part(intra, self.options.gamma, "batch")}


def create(options: Options) -> Dist:
    """The method with these settings."""
    return Dist(options)
