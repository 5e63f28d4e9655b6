"""How many cores this process could have while something was measured: other work spoils what is timed."""

import os
import time
from contextlib import suppress

import psutil

from edgekd.cores import available_cores

SHARE = 0.85
"""A machine on which at least this share of the usable cores is free counts as idle."""


class Watch:
    """Looks at the machine from its making on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._idle = _idle_seconds()
        self._own = time.process_time()
        self.cores = available_cores()

    def free_cores(self) -> float | None:
        """The cores that were idle or worked for this process, on average; None where the system does not tell."""
        seconds = time.monotonic() - self._began
        idle = _idle_seconds()
        if idle is None or self._idle is None or seconds <= 0:
            return None
        return min(float(self.cores), (idle - self._idle + time.process_time() - self._own) / seconds)

    def is_idle(self) -> bool:
        """Whether nothing else took much of the cores that this process may use; False where that is unknown."""
        free = self.free_cores()
        return free is not None and free >= SHARE * self.cores

    def complaint(self) -> str | None:
        """Words on a busy machine."""
        free = self.free_cores()
        if free is None or self.is_idle():
            return None
        return f"the machine is busy: other work takes about {self.cores - free:.1f} of {self.cores} cores"


def _idle_seconds() -> float | None:
    """Seconds that the cores of this process have been idle since they started; None where the system counts none."""
    with suppress(OSError, RuntimeError, AttributeError, IndexError):
        times = psutil.cpu_times(percpu=True)
        mine = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(times))
        found = sum(times[core].idle + getattr(times[core], "iowait", 0.0) for core in mine)
        return float(found) or None
    return None
