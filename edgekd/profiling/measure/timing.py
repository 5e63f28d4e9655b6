"""The timed loop: warm-up and measured rounds, each by count and by time. Knows nothing of what it runs."""

import gc
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter_ns

WARM_UP_RUNS = 10
MEASURED_RUNS = 200
PATIENCE = 6
"""A phase whose runs are too slow for its count stops at this many times its seconds."""


@contextmanager
def quiet() -> Iterator[None]:
    """No garbage collection inside."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def repeat(
    run: Callable[[int], object],
    seconds: float,
    runs: int,
    clock: Callable[[], int] = perf_counter_ns,
) -> "array[int]":
    """Call `run(0)`, `run(1)`, ... for at least `seconds` and `runs`; at most 6 times the seconds, never none.

    The ns of each call, clocked around the call only.
    """
    times = array("q")
    begin = clock()
    enough, limit = begin + int(seconds * 1e9), begin + int(seconds * PATIENCE * 1e9)
    done = 0
    after = begin
    while done == 0 or (after < enough or done < runs) and after < limit:
        before = clock()
        run(done)
        after = clock()
        times.append(after - before)
        done += 1
    return times
