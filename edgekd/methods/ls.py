"""Logit standardisation: Sun, Ren, Li, Wang, Cao (2024), arXiv 2403.01427, section 4.2, algorithms 1 and 2.

Every row of logits is z-scored before it is softened: the student learns how the teacher's classes lie to each other,
not how large its logits are.
"""

from dataclasses import dataclass

from torch import Tensor

from edgekd.data.batch import Batch
from edgekd.methods.contract import Method, Part
from edgekd.methods.ranges import check_above_zero
from edgekd.methods.softening import STANDARDIZED_WEIGHT, divergence, logits_of, standardized
from edgekd.models.outputs import Output


def ls_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 * KL of the softened z-scores, mean over the batch; logits [batch, classes]."""
    return divergence(standardized(student), standardized(teacher), temperature).mean()


@dataclass(frozen=True)
class Options:
    """`temperature`: the base temperature, 2 in the paper."""

    temperature: float = 2.0


class Ls(Method):
    """The method `ls`: kd on standardised logits; kd, dkd and mlkd take `--set standardize=true` too."""

    follows = frozenset({"temperature"})
    label_weight = 0.1

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_above_zero(options, "temperature")
        self.options = options

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`kd` over all images, with the paper's weight 9."""
        value = ls_loss(logits_of(student, "student"), logits_of(teacher, "teacher"), self.options.temperature)
        return {"kd": Part(value, STANDARDIZED_WEIGHT)}


def create(options: Options) -> Ls:
    """The method with these settings."""
    return Ls(options)
