"""Files of one network measured in turns on this machine, and which of them is worth using."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgekd.profiling.measure.measuring import Setting, measure
from edgekd.profiling.measure.quantiles import ratio_interval
from edgekd.profiling.model_files import open_subject

FASTER = 1.02
"""A file is faster where the lower bound of its paired speed-up is at least this."""
SLOWER = 0.98
"""It is slower where the upper bound is at most this."""


@dataclass(frozen=True)
class Timed:
    """Median latency of one batch, ms, and the speed-up over the first file with its 95 % interval."""

    latency_ms: float
    speedup: float
    low: float
    high: float

    @property
    def is_faster(self) -> bool:
        """Surely faster than the first file."""
        return self.low >= FASTER

    @property
    def in_words(self) -> str:
        """`1.52 (1.49-1.55)`, with a remark where it is slower."""
        words = f"{self.speedup:.2f} ({self.low:.2f}-{self.high:.2f})"
        return f"{words} slower here" if self.high <= SLOWER else words


def race(files: Mapping[str, Path], setting: Setting) -> dict[str, Timed]:
    """Measure all files, round by round in turn; the first one is what the others are compared with."""
    subjects = [open_subject(path, name) for name, path in files.items()]
    measured = measure(subjects, setting)
    found = {}
    for name, each in zip(files, measured, strict=True):
        ratio = ratio_interval(measured[0].rounds, each.rounds)
        found[name] = Timed(each.figures["latency_ms"]["median"], ratio["ratio"], ratio["low"], ratio["high"])
    return found


@dataclass(frozen=True)
class Choice:
    """The file to deploy (None: no claim) and the sentence why."""

    name: str | None
    reason: str


def choose(timed: Mapping[str, Timed], accurate: Sequence[str], setting: Setting) -> Choice:
    """The first `accurate` file that is surely faster than the first of all; a later one where it surely beats that.

    Where none is, the first of all.
    """
    first = next(iter(timed))
    where = f"batch {setting.batch}, {setting.threads} thread{'s' if setting.threads > 1 else ''}, this machine"
    worth = [name for name in timed if name in accurate and timed[name].is_faster]
    if worth:
        best = worth[0]
        for name in worth[1:]:
            best = name if timed[name].low > timed[best].speedup else best
        each = timed[best]
        return Choice(best, f"{best} is {each.speedup:.2f} times as fast as {first} (at least {each.low:.2f}; {where})")
    reasons = []
    for name, each in timed.items():
        if name == first:
            continue
        if name not in accurate:
            reasons.append(f"{name} loses too much accuracy")
        else:
            reasons.append(f"{name} is not surely {FASTER} times as fast: {each.in_words}")
    return Choice(first, f"{first} is kept ({where}): {'; '.join(reasons)}")


def as_dict(timed: Timed | None) -> dict[str, Any] | None:
    """Plain JSON values."""
    return None if timed is None else asdict(timed)
