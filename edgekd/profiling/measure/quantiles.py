"""Percentiles of latencies with MLPerf's confidence rule: none is given unless the runs can carry it."""

import math
from array import array
from collections import Counter
from collections.abc import Sequence
from itertools import chain, pairwise, repeat
from statistics import fmean, stdev
from typing import Any

CONFIDENCE = 0.99
"""How sure the upper bound of a percentile is."""

PERCENTILES = (50.0, 90.0, 95.0, 99.0)
WINDOWS = 5
DRIFT_WARNING = 1.05


def ascending(values: Sequence[float]) -> "array[float]":
    """The values in order. As an array, and sorted by their few different ones: millions fit a small board's memory."""
    counts = Counter(values)
    return array("d", chain.from_iterable(repeat(value, counts[value]) for value in sorted(counts)))


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle."""
    return _middle(ascending(values))


def _middle(ordered: Sequence[float]) -> float:
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of ascending values."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def allowed_above(runs: int, percent: float) -> int:
    """The largest t with P(at most t of `runs` above the true percentile) <= 1 %; -1 when there is none."""
    above = 1 - percent / 100
    spread = math.sqrt(runs * above * (1 - above))
    count = max(0, int(runs * above - 12 * spread - 1))
    total = 0.0
    while count <= runs:
        total += _binomial(runs, count, above)
        if total > 1 - CONFIDENCE:
            return count - 1
        count += 1
    return runs


def _binomial(runs: int, count: int, share: float) -> float:
    ways = math.lgamma(runs + 1) - math.lgamma(count + 1) - math.lgamma(runs - count + 1)
    return math.exp(ways + count * math.log(share) + (runs - count) * math.log1p(-share))


def upper_bound(ordered: Sequence[float], percent: float) -> float | None:
    """The value that the true percentile stays under with 99 % confidence; None when the runs are too few.

    MLPerf's rule: with t runs allowed above, drop the t-1 slowest and take the slowest left.
    """
    allowed = allowed_above(len(ordered), percent)
    return ordered[len(ordered) - allowed] if allowed >= 1 else None


def runs_needed(percent: float) -> int:
    """The fewest runs for which the percentile has an upper bound."""
    low, high = 1, 2
    while allowed_above(high, percent) < 1:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if allowed_above(middle, percent) < 1 else (low, middle)
    return high


def summarise(times_ms: Sequence[float], also: float | None = None) -> dict[str, Any]:
    """Latency figures in ms: percentiles with bounds (None when runs are too few), mean, spread, jitter.

    The jitter is the mean absolute difference from one run to the next.
    """
    ordered = ascending(times_ms)
    mean = fmean(times_ms)
    wanted = sorted({*PERCENTILES, *([also] if also is not None else [])})
    return {
        "percentiles": {name_of(percent): _bounded(ordered, percent) for percent in wanted},
        "median": _middle(ordered),
        "mean": mean,
        "min": ordered[0],
        "max": ordered[-1],
        "sd": _deviation(times_ms, mean),
        "jitter": _jitter(times_ms),
    }


def _bounded(ordered: Sequence[float], percent: float) -> dict[str, float] | None:
    bound = upper_bound(ordered, percent)
    return None if bound is None else {"value": percentile(ordered, percent), "bound": bound}


def _deviation(values: Sequence[float], mean: float) -> float:
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / max(1, len(values) - 1))


def _jitter(times: Sequence[float]) -> float:
    return fmean(abs(after - before) for before, after in pairwise(times)) if len(times) > 1 else 0.0


def name_of(percent: float) -> str:
    """`95.0` -> `p95`, `99.9` -> `p99.9`."""
    return f"p{percent:g}"


def windows(times_ms: Sequence[float]) -> list[float]:
    """The medians of five equal windows of the run, in order; fewer than five runs give one each."""
    count = min(WINDOWS, len(times_ms))
    edges = [round(len(times_ms) * index / count) for index in range(count + 1)]
    return [median(times_ms[start:end]) for start, end in pairwise(edges)]


def thin(times: Sequence[float], most: int) -> tuple[int, list[float]]:
    """Every k-th time, at most `most` of them, and k."""
    every = max(1, math.ceil(len(times) / most))
    return every, list(times[::every])


def ratio_interval(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """The mean ratio ours/theirs of paired values and its 95 % interval (Student's t on logarithms)."""
    logs = [math.log(our / their) for our, their in zip(ours, theirs, strict=True)]
    middle = fmean(logs)
    half = _student(len(logs) - 1) * stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else math.inf
    return {
        "ratio": math.exp(middle),
        "low": math.exp(middle - half) if half < math.inf else 0.0,
        "high": math.exp(min(middle + half, 50.0)),
        "pairs": len(logs),
    }


def _student(freedom: int) -> float:
    """The two-sided 95 % quantile of Student's t (a table, then Cornish-Fisher from the normal's)."""
    table = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
    if freedom <= len(table):
        return table[freedom - 1]
    z = 1.959964
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
