"""Transformed teacher matching: Zheng, Yang (2024), arXiv 2402.11148, section 4.

The student's temperature is 1; only the teacher's probabilities are raised to a power and normalised again.
"""

from dataclasses import dataclass

from torch import Tensor

from edgekd.data.batch import Batch
from edgekd.methods.contract import Method, Part
from edgekd.methods.ranges import check_above_zero
from edgekd.methods.softening import divergence, logits_of
from edgekd.models.outputs import Output


def ttm_loss(student: Tensor, teacher: Tensor, gamma: float) -> Tensor:
    """KL(p^gamma / sum p^gamma || q) of each image, [batch]; p, q the softmax of the logits [batch, classes]."""
    # softmax(z)^gamma, normalised, is softmax(gamma z)
    return divergence(student, gamma * teacher, 1.0)


@dataclass(frozen=True)
class Options:
    """`gamma`: the power, 1 over the teacher's temperature; `weight`: of the loss; as in the authors' example."""

    gamma: float = 0.1
    weight: float = 45.0


class Ttm(Method):
    """The method `ttm`."""

    follows = frozenset({"gamma", "weight"})

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_above_zero(options, "gamma", "weight")
        self.options = options

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`ttm` over all images."""
        rows = ttm_loss(logits_of(student, "student"), logits_of(teacher, "teacher"), self.options.gamma)
        return {"ttm": Part(rows.mean(), self.options.weight)}


def create(options: Options) -> Ttm:
    """The method with these settings."""
    return Ttm(options)
