"""Runs that take turns, so that other work on the machine meets them all alike."""

import time
from collections.abc import Callable, Iterator


def timed(steps: Iterator[None], count: int, ended: Callable[[], None] | None = None) -> float:
    """Seconds per step of the next `count`, and of what still runs then (`ended` waits for it)."""
    started = time.perf_counter()
    for _ in range(count):
        next(steps)
    if ended is not None:
        ended()
    return (time.perf_counter() - started) / count


def in_turns(rounds: int, *runs: Callable[[], float]) -> tuple[list[float], ...]:
    """What each of the runs gives, round by round; who goes first changes from round to round."""
    figures: tuple[list[float], ...] = tuple([] for _ in runs)
    for turn in range(rounds):
        for place in range(len(runs)):
            which = (turn + place) % len(runs)
            figures[which].append(runs[which]())
    return figures
