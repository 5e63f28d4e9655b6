"""Hints: Romero, Ballas, Kahou, Chassang, Gatta, Bengio (2015), arXiv 1412.6550, section 2, hint-based training.

A 1x1 convolution brings a student's map to the channels of a teacher's. In one stage the hint is learnt beside the
labels; in two, as in the paper, the student is trained up to the hint first, then by kd and labels.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.data.batch import Batch
from edgekd.errors import UsageError
from edgekd.methods.contract import Method, Part, Side
from edgekd.methods.ranges import check_above_zero, check_share
from edgekd.methods.softening import divergence, logits_of
from edgekd.methods.stages import resized
from edgekd.models.outputs import FEATURES, Output


def hint_loss(guess: Tensor, hint: Tensor) -> Tensor:
    """Mean squared difference of maps [batch, channels, height, width], at the smaller of both sizes; a scalar."""
    size = (min(guess.shape[-2], hint.shape[-2]), min(guess.shape[-1], hint.shape[-1]))
    return F.mse_loss(resized(guess, size).float(), resized(hint, size).float())


@dataclass(frozen=True)
class Options:
    """`student_stage` and `teacher_stage` are taps, by default the last but one; `weight` is that of the hint,
    The usual code of one stage (RepDistiller) has 100 at a learning rate of 0.05; at the 0.2 of edgekd's small students
    that diverged under two teachers.

    `stages`: 1, or 2 as in the paper; then `first` is the share of the training that goes to the hint, and the second
    stage is kd at `temperature`.
    """

    student_stage: str = ""
    teacher_stage: str = ""
    weight: float = 1.0
    stages: int = 1
    first: float = 0.5
    temperature: float = 4.0


class FitNet(Method):
    """The method `fitnet`; the regressor is trained and resumed, never deployed."""

    follows = frozenset({"temperature", "weight"})
    teacher_needs: frozenset[str] = frozenset()

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_above_zero(options, "weight", "temperature")
        check_share(options, "first")
        if options.stages not in (1, 2):
            raise UsageError(f"--set stages={options.stages}: out of range", "give 1 or 2")
        self.options = options
        self.taps = ("", "")
        self.regressor: nn.Module = nn.Identity()
        if options.stages == 2:
            self.temperature = options.temperature

    def build(self, student: Side, teacher: Side) -> None:
        """Pick both maps and make the regressor between them."""
        self.taps = (
            _tap(self.options.student_stage, student, "student"),
            _tap(self.options.teacher_stage, teacher, "teacher"),
        )
        own, hint = (FEATURES + tap for tap in self.taps)
        self.student_needs = self.student_needs | {own}
        self.teacher_needs = frozenset({hint} | ({"logits|logits:topk"} if self.options.stages == 2 else set()))
        if own in student.shapes and hint in teacher.shapes:
            self.regressor = nn.Conv2d(student.shapes[own][0], teacher.shapes[hint][0], 1)

    def label_ramp(self, progress: float) -> float:
        """0 in the first of two stages."""
        return 0.0 if self._is_first(progress) else 1.0

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`hint` over all images; in two stages also `kd`, and each counts in its own stage only."""
        guess, hint = self.regressor(student.features[self.taps[0]]), teacher.features[self.taps[1]].detach()
        is_first = self._is_first(progress)
        weight = self.options.weight if self.options.stages == 1 or is_first else 0.0
        parts = {"hint": Part(hint_loss(guess, hint), weight)}
        if self.options.stages == 2:
            rows = divergence(logits_of(student, "student"), logits_of(teacher, "teacher"), self.options.temperature)
            parts["kd"] = Part(rows.mean(), 0.0 if is_first else 1.0)
        return parts

    def _is_first(self, progress: float) -> bool:
        return bool(self.options.stages == 2 and progress < self.options.first)


def _tap(asked: str, side: Side, whose: str) -> str:
    """The tap requested, else the last but one stage, or the only one."""
    if asked:
        return asked
    if not side.stages:
        raise UsageError(
            f"--method fitnet: this {whose} gives no maps by stage",
            "--live, a cache made by edgekd cache-logits --for fitnet, "
            f"or --set {whose}_stage=TAP with a tap that it gives",
        )
    return side.stages[-2:][0]


def create(options: Options) -> FitNet:
    """The method with these settings."""
    return FitNet(options)
