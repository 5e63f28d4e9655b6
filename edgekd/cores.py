"""How many processor cores this process may use."""

import os
import re
from contextlib import suppress
from pathlib import Path


def available_cores() -> int:
    """The cores this process may use, a container's CPU quota counted."""
    with suppress(OSError):
        return cores_within(Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii", errors="replace"))
    return cores_within("")


def cores_within(quota: str) -> int:
    """The cores this process may use within what `cpu.max` of its control group says ("max" or "" for no limit)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = re.match(r"([1-9][0-9]{0,15}) ([1-9][0-9]{0,15})\s*$", quota)
    return max(1, min(cores, round(int(found[1]) / int(found[2])))) if found else cores
