"""Memory of this process, MB (10^6 bytes): resident now, and the peak since it began."""

import os
import sys
from pathlib import Path


def resident_mb() -> float | None:
    """Resident memory now; None where the system does not tell."""
    return _status("VmRSS")


def peak_mb() -> float | None:
    """The most that was ever resident; None where the system does not tell."""
    return _status("VmHWM") or _usage_peak()


def _status(key: str, status: Path = Path("/proc/self/status")) -> float | None:
    try:
        text = status.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    line = next((line for line in text.splitlines() if line.startswith(key + ":")), None)
    return None if line is None else int(line.split()[1]) * 1024 / 1e6


def _usage_peak() -> float | None:
    if os.name != "posix":
        return None
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage / 1e6 if sys.platform == "darwin" else usage * 1024 / 1e6


if os.name == "posix":
    import resource
