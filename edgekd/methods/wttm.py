"""Weighted transformed teacher matching: Zheng, Yang (2024), arXiv 2402.11148, section 5.

As ttm, and each image counts by the sum of the teacher's powered probabilities: the more, the smoother they are.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from edgekd.data.batch import Batch
from edgekd.methods.contract import Method, Part
from edgekd.methods.ranges import check_above_zero
from edgekd.methods.softening import logits_of
from edgekd.methods.ttm import ttm_loss
from edgekd.models.outputs import Output


def smoothness(teacher: Tensor, gamma: float) -> Tensor:
    """The sum over classes of p^gamma, [batch], from logits [batch, classes]; between 1 and classes^(1 - gamma)."""
    return (gamma * F.log_softmax(teacher, dim=1)).exp().sum(dim=1)


@dataclass(frozen=True)
class Options:
    """`gamma`: the power, 1 over the teacher's temperature; `weight`: of the loss; as in the authors' example."""

    gamma: float = 0.2
    weight: float = 4.0


class Wttm(Method):
    """The method `wttm`."""

    follows = frozenset({"gamma", "weight"})

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_above_zero(options, "gamma", "weight")
        self.options = options

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`wttm` over all images."""
        ours, theirs, gamma = logits_of(student, "student"), logits_of(teacher, "teacher"), self.options.gamma
        return {"wttm": Part((smoothness(theirs, gamma) * ttm_loss(ours, theirs, gamma)).mean(), self.options.weight)}


def create(options: Options) -> Wttm:
    """The method with these settings."""
    return Wttm(options)
