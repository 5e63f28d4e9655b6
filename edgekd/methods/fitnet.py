"""Hints: Romero, Ballas, Kahou, Chassang, Gatta, Bengio (2015), arXiv 1412.6550, equation 3.

A 1x1 convolution brings a student's map to the channels of a teacher's. The paper trains up to the hint first and then
distils; here both losses are learnt at once.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import nn

from edgekd.data.batch import Batch
from edgekd.errors import UsageError
from edgekd.methods.contract import Method, Part, Side
from edgekd.models.outputs import FEATURES, Output


@dataclass(frozen=True)
class Options:
    """`student_stage` and `teacher_stage` are taps, by default the last but one; `weight` is that of the hint."""

    student_stage: str = ""
    teacher_stage: str = ""
    weight: float = 1.0


class FitNet(Method):
    """The method `fitnet`: maps alone; the regressor is trained and resumed, never deployed."""

    teacher_needs: frozenset[str] = frozenset()

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options
        self.taps = ("", "")
        self.regressor: nn.Module = nn.Identity()

    def build(self, student: Side, teacher: Side) -> None:
        """Pick both maps and make the regressor between them."""
        self.taps = (
            _tap(self.options.student_stage, student, "student"),
            _tap(self.options.teacher_stage, teacher, "teacher"),
        )
        own, hint = (FEATURES + tap for tap in self.taps)
        self.student_needs = self.student_needs | {own}
        self.teacher_needs = frozenset({hint})
        if own in student.shapes and hint in teacher.shapes:
            self.regressor = nn.Conv2d(student.shapes[own][0], teacher.shapes[hint][0], 1)

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`hint`: the mean squared difference, at the smaller of both maps' sizes."""
        guess, hint = self.regressor(student.features[self.taps[0]]).float(), teacher.features[self.taps[1]]
        side = min(guess.shape[-2:], hint.shape[-2:])
        guess, hint = (each if each.shape[-2:] == side else F.adaptive_avg_pool2d(each, side) for each in (guess, hint))
        return {"hint": Part(F.mse_loss(guess, hint), self.options.weight)}


def _tap(asked: str, side: Side, whose: str) -> str:
    """The tap asked for, else the last but one stage, or the only one."""
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
