"""Knowledge review: Chen, Liu, Zhao, Jia (2021), arXiv 2104.09044, section 3.

From deep to shallow, the student's maps are fused with what came before by attention (ABF); each fused map meets the
teacher's map of its depth at several sizes (HCL).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.data.batch import Batch
from edgekd.methods.contract import Method, Part, Side
from edgekd.methods.ranges import check_above_zero, check_not_negative, ramp
from edgekd.methods.stages import Norm, Pair, needs_of, pairs_of, resized
from edgekd.models.outputs import POOLED, Output

WIDEST = 512
LEVELS = (4, 2, 1)


def hcl_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of maps of one shape, and of both averaged to 4, 2 and 1 pixels a side.

    Each smaller size counts half of the one before; the sum is divided by the sum of these weights.
    """
    student, teacher = student.float(), teacher.float()
    total, whole, weight = F.mse_loss(student, teacher), 1.0, 1.0
    for level in LEVELS:
        if level >= student.shape[-2]:
            continue
        weight /= 2
        small = [F.adaptive_avg_pool2d(each, (level, min(level, each.shape[-1]))) for each in (student, teacher)]
        total, whole = total + weight * F.mse_loss(small[0], small[1]), whole + weight
    return total / whole


class Fusion(nn.Module):
    """Attention-based fusion (ABF): a student's map and the fused one of the stage behind it."""

    def __init__(self, channels: int, middle: int, out_channels: int, is_deepest: bool) -> None:
        super().__init__()
        narrow = nn.Conv2d(channels, middle, 1, bias=False)
        widen = nn.Conv2d(middle, out_channels, 3, padding=1, bias=False)
        self.inward, self.outward = nn.Sequential(narrow, Norm(middle)), nn.Sequential(widen, Norm(out_channels))
        self.weigh = None if is_deepest else nn.Sequential(nn.Conv2d(2 * middle, 2, 1), nn.Sigmoid())
        for convolution in (narrow, widen):
            nn.init.kaiming_uniform_(convolution.weight, a=1)

    def forward(self, features: Tensor, behind: Tensor | None, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The map for the teacher's [batch, out_channels, *size], and the fused one for the next stage."""
        fused = self.inward(features)
        if self.weigh is not None and behind is not None:
            behind = F.interpolate(behind, fused.shape[-2:], mode="nearest")
            weights = self.weigh(torch.cat([fused, behind], dim=1))
            fused = fused * weights[:, :1] + behind * weights[:, 1:]
        fused = F.interpolate(fused, size, mode="nearest") if fused.shape[-2:] != size else fused
        return self.outward(fused), fused


@dataclass(frozen=True)
class Options:
    """`weight`: of the loss, which the paper chooses by pair; `warmup`: the share of the training over which it rises.

    `taps`: pairs STUDENT:TEACHER from shallow to deep, separated by commas; default: the stages by depth.
    """

    weight: float = 1.0
    warmup: float = 20 / 240
    taps: str = ""


class ReviewKd(Method):
    """The method `reviewkd`. Where both sides give pooled features these are the deepest stage, as in the paper."""

    follows = frozenset({"weight"})
    teacher_needs = frozenset()

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_above_zero(options, "weight")
        check_not_negative(options, "warmup")
        self.options = options
        self.pairs: tuple[Pair, ...] = ()
        self.has_pooled = False

    def build(self, student: Side, teacher: Side) -> None:
        """Pair the stages and make a fusion for each, from deep to shallow."""
        self.pairs = pairs_of(student, teacher, self.options.taps, "reviewkd")
        self.student_needs, self.teacher_needs = needs_of(self.pairs)
        self.student_needs = self.student_needs | {"logits"}
        shapes = [(each.student_shape[0], each.teacher_shape[0]) for each in self.pairs]
        self.has_pooled = POOLED in student.gives and POOLED in teacher.gives
        if self.has_pooled:
            self.student_needs, self.teacher_needs = self.student_needs | {POOLED}, self.teacher_needs | {POOLED}
            shapes.append((student.shapes[POOLED][0], teacher.shapes[POOLED][0]))
        middle = min(WIDEST, shapes[-1][0])
        deep_first = list(reversed(shapes))
        self.fusions = nn.ModuleList(
            Fusion(channels, middle, out_channels, number == 0)
            for number, (channels, out_channels) in enumerate(deep_first)
        )

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`review`, the sum over the stages, each a mean over all images."""
        loss: Tensor | None = None
        behind: Tensor | None = None
        for fusion, (features, wanted) in zip(self.fusions, reversed(self._levels(student, teacher)), strict=True):
            out, behind = fusion(features, behind, tuple(wanted.shape[-2:]))
            stage = hcl_loss(out, resized(wanted, tuple(out.shape[-2:])))
            loss = stage if loss is None else loss + stage
        if loss is None:
            raise ValueError("reviewkd is used before build")
        return {"review": Part(ramp(progress, self.options.warmup) * loss, self.options.weight)}

    def _levels(self, student: Output, teacher: Output) -> list[tuple[Tensor, Tensor]]:
        found = [(student.features[each.student], teacher.features[each.teacher].detach()) for each in self.pairs]
        if self.has_pooled and student.pooled is not None and teacher.pooled is not None:
            found.append((student.pooled[..., None, None], teacher.pooled.detach()[..., None, None]))
        return found


def create(options: Options) -> ReviewKd:
    """The method with these settings."""
    return ReviewKd(options)
