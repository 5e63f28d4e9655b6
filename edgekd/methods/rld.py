"""Refined logits, for teachers that are wrong: Sun, Chen, Lyu, Chen, Chen, Wang (2024), arXiv 2408.07703, section 4.

Sample confidence (SCD): the student's probability of the true class meets the teacher's of its own top class. Masked
correlation (MCD): kd among the classes that the teacher puts below the true one, so that no wrong class is taught.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from edgekd.data.batch import Batch
from edgekd.methods.contract import Method, Part
from edgekd.methods.labels import target_shares
from edgekd.methods.ranges import check_above_zero, check_not_negative, ramp
from edgekd.methods.softening import binary_divergence, logits_of, one_against_rest
from edgekd.models.outputs import Output

NEVER = -1e9
"""A logit whose class has no probability; finite, so that nothing becomes NaN where no class is left."""


def confidence_loss(student: Tensor, teacher: Tensor, target: Tensor, temperature: float) -> Tensor:
    """SCD times T^2 of each image, [batch]; logits [batch, classes], target [batch]."""
    ours = one_against_rest(F.log_softmax(student / temperature, dim=1), target)
    theirs = one_against_rest(F.log_softmax(teacher / temperature, dim=1), teacher.argmax(dim=1))
    return binary_divergence(ours, theirs) * temperature**2


def correlation_loss(student: Tensor, teacher: Tensor, target: Tensor, temperature: float) -> Tensor:
    """MCD times T^2 of each image, [batch]; 0 where the teacher puts no class below the target."""
    is_above = teacher >= teacher.gather(1, target[:, None])
    ours, theirs = ((each / temperature).masked_fill(is_above, NEVER) for each in (student, teacher))
    rows = F.kl_div(F.log_softmax(ours, dim=1), F.softmax(theirs, dim=1), reduction="none").sum(1)
    return rows * temperature**2


@dataclass(frozen=True)
class Options:
    """`alpha` weighs SCD at `confidence_temperature`, `beta` MCD at `temperature`; defaults of the authors' code.

    `warmup`: the share of the training over which both rise from 0 (20 of 240 epochs).
    """

    temperature: float = 4.0
    confidence_temperature: float = 1.0
    alpha: float = 1.0
    beta: float = 8.0
    warmup: float = 20 / 240


class Rld(Method):
    """The method `rld`. Of an image whose label is not known the teacher's answer is taken for true."""

    follows = frozenset({"beta", "confidence_temperature", "temperature"})

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_above_zero(options, "temperature", "confidence_temperature")
        check_not_negative(options, "alpha", "beta", "warmup")
        self.options = options

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`scd` and `mcd` over all images; a mixed image has them of both its labels, by their shares."""
        ours, theirs, chosen = logits_of(student, "student"), logits_of(teacher, "teacher"), self.options
        scd = mcd = ours.new_zeros(())
        for target, share in target_shares(batch, theirs):
            scd = scd + (share * confidence_loss(ours, theirs, target, chosen.confidence_temperature)).mean()
            mcd = mcd + (share * correlation_loss(ours, theirs, target, chosen.temperature)).mean()
        rise = ramp(progress, chosen.warmup)
        return {"scd": Part(rise * scd, chosen.alpha), "mcd": Part(rise * mcd, chosen.beta)}


def create(options: Options) -> Rld:
    """The method with these settings."""
    return Rld(options)
