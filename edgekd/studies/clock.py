"""The time limit of a work that may be killed, given again and shared by several processes."""

import os
import platform
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from edgekd.errors import CheckpointError
from edgekd.reading import read_json
from edgekd.runs import write_json

SECONDS_BETWEEN_NOTES = 5.0
OWN_START = 4.0
"""Seconds that a command takes to start; they count, too."""


class Clock:
    """Seconds that are left of a limit; what earlier processes of the same work took counts, side by side once.

    While it is entered, a file in `folder` says from when to when this process has worked, by the time of day.
    """

    def __init__(self, folder: Path, limit: float) -> None:
        self.folder, self.limit = folder, limit
        self._began = time.time() - OWN_START
        self._file = folder / f"{platform.node()}-{os.getpid()}-{self._began:.0f}.json"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> "Clock":
        self._note()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        self._note()

    def spent(self) -> float:
        """Seconds in which any process was at it."""
        others = [read_json(each, CheckpointError) for each in self.folder.glob("[!.]*.json") if each != self._file]
        intervals = [(float(each["began"]), float(each["last"])) for each in others]
        return together([*intervals, (self._began, time.time())])

    def left(self) -> float:
        """Seconds of the limit that are left, below 0 when it is over."""
        return self.limit - self.spent()

    def deadline(self, reserve: float = 0.0) -> float:
        """The moment of time.monotonic() at which no more than `reserve` seconds are left."""
        return time.monotonic() + self.left() - reserve

    def _keep(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_NOTES):
            self._note()

    def _note(self) -> None:
        write_json(self._file, {"began": self._began, "last": time.time()})


def together(intervals: Iterable[tuple[float, float]]) -> float:
    """Length of what the intervals cover."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total
