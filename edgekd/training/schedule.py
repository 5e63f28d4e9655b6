"""Numbers as functions of progress (0..1)."""

import math
import re

from edgekd.errors import UsageError


def one_cycle(progress: float, warmup: float) -> float:
    """Share of the peak learning rate: linear rise over `warmup`, then a cosine down to 0."""
    if progress < warmup:
        return 0.05 + 0.95 * progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


GROWTH = ((0.3, 0.0), (0.7, 0.5), (1.0, 1.0))
"""Progressive resizing: until which progress, how much of the way from the first size to the last."""


def size_share(progress: float, first: float) -> float:
    """Share of the input's side that images have at `progress`, when training begins with the share `first`.

    After fastai's progressive resizing: most of what a network learns early does not need the details.
    """
    grown = next((grown for until, grown in GROWTH if progress < until), 1.0)
    return first + (1 - first) * grown


def seconds_of(limit: str) -> float:
    """`90s`, `30m`, `2h` or plain seconds as seconds; raises UsageError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", limit.strip())
    if match is None or float(match[1]) <= 0:
        raise UsageError(f"--time-limit {limit}: not a time", "give for example 90s, 30m or 2h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
