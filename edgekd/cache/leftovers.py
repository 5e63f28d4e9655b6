"""Files beside the real ones that a killed process left half-written; those of living processes are not touched."""

import os
import platform
import re
import time
from pathlib import Path

import psutil

SECONDS = 86_400.0
"""A file of another machine is taken for left over when it has not changed for so long."""
_WRITER = re.compile(r"(?P<mark>[.-])(?P<process>\d+)\.part$")


def leftovers(folder: Path) -> list[Path]:
    """The half-written files in a cache whose writer is gone."""
    return [path for path in sorted(folder.rglob(".*.part")) if _is_left(path)]


def sweep(folder: Path) -> None:
    """Remove them."""
    for path in leftovers(folder):
        path.unlink(missing_ok=True)


def _is_left(path: Path) -> bool:
    found = _WRITER.search(path.name)
    if found is None:
        return False
    process = int(found["process"])
    is_ours = found["mark"] == "." or path.name.endswith(f".{platform.node()}-{process}.part")
    if is_ours:
        return process == os.getpid() or not psutil.pid_exists(process)
    try:
        return time.time() - path.stat().st_mtime > SECONDS
    except FileNotFoundError:
        return False
