"""Measuring models side by side: each in its own child, their rounds taken in turn, so that all meet alike times."""

import math
import random
from array import array
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgekd.profiling.measure.process import Child
from edgekd.profiling.measure.quantiles import DRIFT_WARNING, WINDOWS, median, summarise, thin, windows
from edgekd.profiling.measure.timing import MEASURED_RUNS, WARM_UP_RUNS
from edgekd.runtimes.model_file import ModelFile

ROUND_SECONDS = 5.0
"""No round is longer: a child whose parent is gone ends with its round."""

PAIRS = 10
"""Rounds of each model when two are compared."""

PART = 10_000
"""Times read at once: this process shares the memory of a small board with the one that measures."""

RAW_TIMES = 5_000
"""Most single times kept in the report."""


@dataclass(frozen=True)
class Subject:
    """A model to measure."""

    name: str
    file: ModelFile
    sample: Path | None


@dataclass(frozen=True)
class Setting:
    """How to measure: images at once, threads, seconds of warm-up and measuring, and the percentile judged."""

    batch: int
    threads: int
    warmup: float
    duration: float
    percentile: float


@dataclass(frozen=True)
class Measured:
    """What was measured of one model: the report's figures, and the median of each round in ms."""

    figures: dict[str, Any]
    rounds: tuple[float, ...]


def measure(subjects: Sequence[Subject], setting: Setting) -> list[Measured]:
    """Measure all subjects, round by round in turn; `setting.duration` seconds each."""
    count = max(WINDOWS if len(subjects) == 1 else PAIRS, math.ceil(setting.duration / ROUND_SECONDS))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="edgekd-profile-")))
        trials = [
            _Trial(
                stack.enter_context(Child("edgekd.profiling.measure.timing_process")),
                folder / str(index),
                subject,
                setting,
            )
            for index, subject in enumerate(subjects)
        ]
        order = random.Random(0)
        for _ in range(count):
            for trial in order.sample(trials, len(trials)):
                trial.go(count, again=len(trials) > 1)
        return [trial.measured() for trial in trials]


class _Trial:
    """One model in its child, from loading to figures."""

    def __init__(self, child: Child, times: Path, subject: Subject, setting: Setting) -> None:
        self.child, self.times, self.setting = child, times, setting
        self.opened = child.ask(
            path=str(subject.file.path),
            sample=str(subject.sample) if subject.sample else None,
            batch=setting.batch,
            threads=setting.threads,
        )
        self.warmed = child.ask(seconds=setting.warmup, runs=WARM_UP_RUNS, times=None)
        self.last = self.warmed
        self.counts: list[int] = []

    def go(self, rounds: int, *, again: bool) -> None:
        """Measure one round; `again` warms up briefly first, since another model ran in between."""
        seconds = self.setting.duration / rounds
        if again:
            self.child.ask(seconds=seconds / 20, runs=3, times=None)
        self.last = self.child.ask(seconds=seconds, runs=math.ceil(MEASURED_RUNS / rounds), times=str(self.times))
        self.counts.append(self.last["runs"])

    def measured(self) -> Measured:
        """The figures of all rounds together."""
        times_ms = _read_ms(self.times, sum(self.counts))
        return Measured(
            {
                "batch": self.setting.batch,
                "threads": self.setting.threads,
                "load_ms": self.opened["load_ms"],
                "first_ms": self.opened["first_ms"],
                "inputs": self.opened["inputs"],
                "input_source": self.opened["source"],
                "different_inputs": self.opened["feeds"],
                "not_finite": self.opened["not_finite"],
                "warmup_runs": self.warmed["runs"],
                "runs": len(times_ms),
                "seconds": sum(times_ms) / 1e3,
                "latency_ms": summarise(times_ms, self.setting.percentile),
                "throughput_per_s": self.setting.batch * 1e3 / (sum(times_ms) / len(times_ms)),
                "windows_ms": (parts := windows(times_ms)),
                "median_of_windows_ms": median(parts),
                "drift": parts[-1] / parts[0],
                "memory_mb": self._memory(),
                "versions": self.opened["versions"],
                "times_ms": _raw(times_ms),
            },
            _round_medians(times_ms, self.counts),
        )

    def _memory(self) -> dict[str, float | None]:
        before, peak = self.opened["rss_before_mb"], self.last["peak_rss_mb"]
        return {
            "before": before,
            "after": self.last["rss_mb"],
            "peak": peak,
            "added": peak - before if peak is not None and before is not None else None,
        }


def in_words(batch: int, threads: int) -> str:
    """`batch 8, 1 thread`."""
    return f"batch {batch}, {threads} thread{'s' if threads > 1 else ''}"


def drift_warning(figures: dict[str, Any]) -> str | None:
    """Words when the last fifth of a run was over 5 % slower than the first."""
    if figures["drift"] <= DRIFT_WARNING:
        return None
    return (
        f"{in_words(figures['batch'], figures['threads'])}: the last fifth of the run was "
        f"{figures['drift'] - 1:.0%} slower than the first (heat, or another load)"
    )


def _read_ms(path: Path, count: int) -> "array[float]":
    times_ms = array("d")
    with path.open("rb") as stream:
        while len(times_ms) < count:
            part = array("q")
            part.fromfile(stream, min(count - len(times_ms), PART))
            times_ms.extend(each / 1e6 for each in part)
    return times_ms


def _raw(times_ms: Sequence[float]) -> dict[str, Any]:
    every, kept = thin(times_ms, RAW_TIMES)
    return {"every": every, "values": [round(each, 6) for each in kept]}


def _round_medians(times_ms: Sequence[float], counts: Sequence[int]) -> tuple[float, ...]:
    medians, start = [], 0
    for count in counts:
        medians.append(median(times_ms[start : start + count]))
        start += count
    return tuple(medians)
