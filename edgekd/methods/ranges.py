"""Checks of a method's settings, in the words of the command line."""

import math
from typing import Any

from edgekd.errors import UsageError

Ramp = tuple[float, float]
"""A setting's value at the first step, and the one it has come to after the last."""


def check_above_zero(options: Any, *names: str) -> None:  # noqa: ANN401 - any method's Options
    """Raise UsageError unless each named setting is a finite number above 0."""
    for name in names:
        value = getattr(options, name)
        if not 0 < value < math.inf:
            raise UsageError(f"--set {name}={value}: out of range", "give a number above 0")


def check_not_negative(options: Any, *names: str) -> None:  # noqa: ANN401
    """Raise UsageError unless each named setting is a finite number, 0 or above."""
    for name in names:
        value = getattr(options, name)
        if not 0 <= value < math.inf:
            raise UsageError(f"--set {name}={value}: out of range", "give 0 or a number above it")


def check_share(options: Any, *names: str) -> None:  # noqa: ANN401
    """Raise UsageError unless each named setting lies between 0 and 1."""
    for name in names:
        value = getattr(options, name)
        if not 0 <= value <= 1:
            raise UsageError(f"--set {name}={value}: out of range", "give a number from 0 to 1")


def between(ends: Ramp, progress: float) -> float:
    """The value of a ramp at this point of the training, 0 to 1."""
    start, end = ends
    return start + (end - start) * progress


def ramp(progress: float, length: float) -> float:
    """Rises from 0 to 1 while `progress` goes from 0 to `length`, then stays at 1; without a length it is 1."""
    return min(progress / length, 1.0) if length > 0 else 1.0
