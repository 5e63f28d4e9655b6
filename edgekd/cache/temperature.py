"""Up to which temperature a topk cache may be used: the error of the KD gradient was measured when it was planned."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgekd.cache.plan import CachePlan
from edgekd.errors import CacheError

LIMIT = 0.05
"""Largest error of the KD gradient, relative to that of all logits."""
STEP = 10
"""The largest temperature allowed is printed in tenths."""


def error_at(errors: Mapping[str, float], temperature: float) -> float:
    """The error at a temperature, by straight lines between those measured; beyond the last, the last line goes on.

    The error grows ever more slowly, so beyond the last this is on the safe side; below the first it is the first's.
    """
    known = np.array(sorted((float(each), error) for each, error in errors.items()))
    if len(known) > 1 and temperature > known[-1, 0]:
        slope = (known[-1, 1] - known[-2, 1]) / (known[-1, 0] - known[-2, 0])
        return float(known[-1, 1] + max(slope, 0.0) * (temperature - known[-1, 0]))
    return float(np.interp(temperature, known[:, 0], known[:, 1]))


def largest_temperature(errors: Mapping[str, float], most: float) -> float | None:
    """The largest temperature up to `most`, in tenths, whose error is within the limit; None when there is none."""
    tried = (tenths / STEP for tenths in range(int(most * STEP), 0, -1))
    return next((each for each in tried if error_at(errors, each) <= LIMIT), None)


def check_temperature(folder: Path, plan: CachePlan, temperature: float) -> None:
    """Raise CacheError when a topk cache loses too much of the KD gradient at this temperature."""
    if not plan.topk_error:
        return
    error = error_at(plan.topk_error, temperature)
    if error <= LIMIT:
        return
    largest = largest_temperature(plan.topk_error, temperature)
    allowed = f"at most {largest:g} is" if largest else "no temperature is"
    ways = f"--temperature {largest:g}; or " if largest else ""
    again = f"edgekd cache-logits --name {folder.name} --overwrite"
    raise CacheError(
        f"{folder}: with its top {plan.topk} of {plan.classes} logits the KD gradient is off by {error:.1%} at "
        f"temperature {temperature:g} (limit {LIMIT:.0%}): {allowed} allowed",
        f"{ways}{again} --store u8 (or fp16: all logits), or with a larger --topk",
    )
