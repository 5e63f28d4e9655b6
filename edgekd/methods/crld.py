"""Cross-view consistency: Zhang, Liu, Cai, Ma (2024), CRLD, arXiv 2412.16493, section 3.

The student's answer to each of two views, weak and strong, meets the teacher's to the same view (within) and to the
other (cross), wherever the teacher is sure enough.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from edgekd.data.batch import Batch
from edgekd.methods.contract import Method, Part
from edgekd.methods.labels import label_loss
from edgekd.methods.ranges import check_above_zero, check_not_negative, check_share
from edgekd.methods.softening import divergence, logits_of, strong_of
from edgekd.models.outputs import Output


def is_sure(teacher: Tensor, threshold: float) -> Tensor:
    """1 where the teacher's top probability reaches the threshold, else 0: logits [batch, classes] to [batch]."""
    return (F.softmax(teacher, dim=1).amax(dim=1) >= threshold).float()


@dataclass(frozen=True)
class Options:
    """The authors' values.

    `within` and `cross` weigh the two parts; `sure_weak` and `sure_strong`: the teacher's least confidence in the weak
    view for within, in the strong one for cross.
    """

    temperature: float = 4.0
    within: float = 2.0
    cross: float = 0.5
    sure_weak: float = 0.9
    sure_strong: float = 0.2


class Crld(Method):
    """The method `crld`."""

    follows = frozenset({"cross", "sure_strong", "sure_weak", "temperature", "within"})
    views = ("weak", "strong")

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_above_zero(options, "temperature")
        check_not_negative(options, "within", "cross")
        check_share(options, "sure_weak", "sure_strong")
        self.options = options

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`within` and `cross` over all images, `ce_strong` over the labels."""
        ours, theirs, chosen = logits_of(student, "student"), logits_of(teacher, "teacher"), self.options
        our_strong, their_strong = strong_of(student, "student"), strong_of(teacher, "teacher")

        def apart(first: Tensor, second: Tensor) -> Tensor:
            return divergence(first, second, chosen.temperature)

        within = (apart(ours, theirs) + apart(our_strong, their_strong)) * is_sure(theirs, chosen.sure_weak)
        cross = (apart(our_strong, theirs) + apart(ours, their_strong)) * is_sure(their_strong, chosen.sure_strong)
        return {
            "within": Part(within.mean(), chosen.within),
            "cross": Part(cross.mean(), chosen.cross),
            "ce_strong": Part(label_loss(our_strong, batch), self.label_weight, "labels"),
        }


def create(options: Options) -> Crld:
    """The method with these settings."""
    return Crld(options)
