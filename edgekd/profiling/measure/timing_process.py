"""The timing child, `python -m edgekd.profiling.measure.timing_process`: a JSON command a line in, an answer out.

It stays as light as a bare process of the model's runtime: numpy, that runtime and the few modules beside this one.
"""

from array import array
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy

from edgekd.errors import CheckpointError
from edgekd.profiling.measure.memory import peak_mb, resident_mb
from edgekd.profiling.measure.protocol import answer
from edgekd.profiling.measure.timing import quiet, repeat
from edgekd.runtimes.runtime import plain_words
from edgekd.runtimes.sample_inputs import Feed, make_feeds
from edgekd.runtimes.suffixes import runtime_of


class TimingWorker:
    """One model, one batch size, one thread count."""

    def __init__(self, path: str, sample: str | None, batch: int, threads: int) -> None:
        runtime = runtime_of(Path(path))
        version = runtime.version()  # loads the package, which is no part of opening a model
        before = resident_mb()
        begin = perf_counter_ns()
        self.session = runtime.open(Path(path), threads)
        load = perf_counter_ns() - begin
        self.path = path
        self.feeds, source = make_feeds(self.session, batch, Path(sample) if sample else None, path)
        begin = perf_counter_ns()
        outputs = self._answer(self.feeds[0])
        first = perf_counter_ns() - begin
        named = [each.name for each in self.session.outputs]
        others = (self._answer(feed) for feed in self.feeds[1:])
        bad = {
            name for each in (outputs, *others) for name, value in zip(named, each, strict=True) if not _finite(value)
        }
        self.opened = {
            "load_ms": load / 1e6,
            "first_ms": first / 1e6,
            "rss_before_mb": before,
            "inputs": [_described(name, value) for name, value in self.feeds[0].items()],
            "feeds": len(self.feeds),
            "source": source,
            "not_finite": sorted(bad),
            "versions": {runtime.name: version, "numpy": numpy.__version__},
        }

    def _answer(self, feed: Feed) -> list[Any]:
        try:
            outputs: list[Any] = self.session.compute(feed)
        except Exception as error:  # runtimes' own exceptions share no base class
            shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in feed.items())
            raise CheckpointError(
                f"{self.path}: it does not run on {shapes} ({plain_words(error)})",
                "export it with fixed input sizes that fit together",
            ) from error
        return outputs

    def measure(self, seconds: float, runs: int, times: str | None) -> dict[str, Any]:
        """Run for `seconds` and `runs`; the ns of each run are appended to the file `times`."""
        try:
            with quiet():
                taken = repeat(turns(self.session.compute, self.feeds), seconds, runs)
        except Exception as error:  # runtimes' own exceptions share no base class
            raise CheckpointError(
                f"{self.path}: it runs on some inputs and fails on others ({plain_words(error)})",
                "it cannot be measured with these: export it with edgekd, whose sample is then used",
            ) from error
        if times is not None:
            _append(Path(times), taken)
        return {"runs": len(taken), "rss_mb": resident_mb(), "peak_rss_mb": peak_mb()}


def turns(run: Callable[..., object], feeds: list[Feed]) -> Callable[[int], object]:
    """`run` on one feed after the other."""
    count = len(feeds)
    return lambda index: run(feeds[index % count])


def _finite(value: Any) -> bool:  # noqa: ANN401
    """Whether an output holds numbers only; texts, maps and whole numbers always do."""
    is_float = isinstance(value, numpy.ndarray) and value.dtype.kind == "f"
    return not is_float or bool(numpy.isfinite(value).all())


def _described(name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"name": name, "shape": list(value.shape), "dtype": str(value.dtype)}


def _append(path: Path, times: "array[int]") -> None:
    with path.open("ab") as stream:
        times.tofile(stream)


class Service:
    """The first command opens the worker, every later one measures."""

    def __init__(self) -> None:
        self.worker: TimingWorker | None = None

    def __call__(self, **command: Any) -> dict[str, Any]:  # noqa: ANN401
        """Answer one command."""
        if self.worker is None:
            self.worker = TimingWorker(**command)
            return self.worker.opened
        return self.worker.measure(**command)


if __name__ == "__main__":
    answer(Service())
