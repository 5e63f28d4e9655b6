"""Decoupled distillation: Zhao, Cui, Song, Qiu, Liang (2022), arXiv 2203.08679, section 3.

The divergence of kd falls into one between target and rest (TCKD) and one among the rest (NCKD), which kd weighs by
the teacher's doubt; here both have weights of their own.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from edgekd.data.batch import Batch
from edgekd.methods.contract import Method, Part
from edgekd.methods.labels import target_shares
from edgekd.methods.ranges import check_above_zero, check_not_negative, ramp
from edgekd.methods.softening import (
    STANDARDIZED_WEIGHT,
    binary_divergence,
    divergence,
    logits_of,
    one_against_rest,
    standardized,
    without,
)
from edgekd.models.outputs import Output


def dkd_loss(student: Tensor, teacher: Tensor, target: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """TCKD and NCKD of each image, [batch] both, times T^2; logits [batch, classes], target [batch]."""
    student_log, teacher_log = (F.log_softmax(each / temperature, dim=1) for each in (student, teacher))
    tckd = binary_divergence(one_against_rest(student_log, target), one_against_rest(teacher_log, target))
    nckd = divergence(without(student, target), without(teacher, target), temperature)
    return tckd * temperature**2, nckd


@dataclass(frozen=True)
class Options:
    """The paper's values on CIFAR-100: `alpha` weighs TCKD, `beta` NCKD.

    `warmup`: the share of the training over which both rise from 0 (20 of 240 epochs there). `standardize`: z-score
    the logits first (method ls); both then count nine times as much.
    """

    temperature: float = 4.0
    alpha: float = 1.0
    beta: float = 8.0
    warmup: float = 20 / 240
    standardize: bool = False


class Dkd(Method):
    """The method `dkd`. Of an image whose label is not known the teacher's answer is the target."""

    follows = frozenset({"beta", "temperature"})

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_above_zero(options, "temperature")
        check_not_negative(options, "alpha", "beta", "warmup")
        self.options = options

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`tckd` and `nckd` over all images; a mixed image has them of both its labels, by their shares."""
        ours, theirs = logits_of(student, "student"), logits_of(teacher, "teacher")
        shares = target_shares(batch, theirs)
        if self.options.standardize:
            ours, theirs = standardized(ours), standardized(theirs)
        tckd = nckd = ours.new_zeros(())
        for target, share in shares:
            own, others = dkd_loss(ours, theirs, target, self.options.temperature)
            tckd, nckd = tckd + (share * own).mean(), nckd + (share * others).mean()
        rise = ramp(progress, self.options.warmup)
        more = STANDARDIZED_WEIGHT if self.options.standardize else 1.0
        return {
            "tckd": Part(rise * tckd, more * self.options.alpha),
            "nckd": Part(rise * nckd, more * self.options.beta),
        }


def create(options: Options) -> Dkd:
    """The method with these settings."""
    return Dkd(options)
