"""Means over seeds, and differences of arms that share them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of n values; no deviation of a single one."""

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences over n seeds with its confidence interval, which a single pair has not."""

    mean: float
    low: float | None
    high: float | None
    n: int


def spread_of(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return Spread(mean, None, 1)
    return Spread(mean, math.sqrt(math.fsum((each - mean) ** 2 for each in values) / (len(values) - 1)), len(values))


def compare(values: Mapping[int, float], baseline: Mapping[int, float]) -> Difference | None:
    """`values` minus `baseline` over the seeds that both have, with Student's t interval; None without such seeds."""
    shared = sorted(values.keys() & baseline.keys())
    if not shared:
        return None
    found = spread_of([values[seed] - baseline[seed] for seed in shared])
    if found.sd is None:
        return Difference(found.mean, None, None, 1)
    half = t_quantile((1 + CONFIDENCE) / 2, found.n - 1) * found.sd / math.sqrt(found.n)
    return Difference(found.mean, found.mean - half, found.mean + half, found.n)


def t_quantile(probability: float, freedom: int) -> float:
    """The value that Student's t with `freedom` degrees of freedom stays below with a probability of 0.5 or more."""
    low, high = 0.0, 1.0
    while _t_below(high, freedom) < probability:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_below(middle, freedom) < probability else (low, middle)
    return (low + high) / 2


def _t_below(t: float, freedom: int) -> float:
    """P(T <= t) for t >= 0, by the finite series of Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan2(t, math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    if freedom == 1:
        return 0.5 + angle / math.pi
    is_odd = freedom % 2
    term = total = cosine if is_odd else 1.0
    for step in range(2 + is_odd, freedom, 2):
        term *= cosine**2 * (step - 1) / step
        total += term
    inside = 2 / math.pi * (angle + sine * total) if is_odd else sine * total
    return 0.5 + inside / 2
