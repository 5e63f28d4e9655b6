"""Room for canvases: how much memory and disk may be used, and what has to go when it is full."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from edgekd.cores import control_groups
from edgekd.ranks import place

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

GB = 10**9

_SHARE_OF_MEMORY = 0.4
_CGROUP = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def cache_root() -> Path:
    """The folder for everything that can be made again: $EDGEKD_CACHE or ~/.cache/edgekd."""
    return Path(os.environ.get("EDGEKD_CACHE") or "~/.cache/edgekd").expanduser()


def fits_memory(size_bytes: int) -> bool:
    """Whether an array of this size, in each of this machine's processes, leaves most of the free memory to others."""
    return size_bytes * place().local_world <= _SHARE_OF_MEMORY * _free_memory()


def _free_memory() -> int:
    """Free memory in bytes, also by the limits of containers, services and `ulimit -v`."""
    free: int = psutil.virtual_memory().available
    left = [most - used for most, used in _limits()]
    return max(0, min([free, *left]))


def _limits() -> Iterator[tuple[int, int]]:
    """Every limit this process is under, and how much of it is in use."""
    if resource is not None:
        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most != resource.RLIM_INFINITY:
            yield most, psutil.Process().memory_info().vms
    for folder in control_groups("memory", _CGROUP, _OWN_CGROUPS):
        version2 = (folder / "memory.max").exists()
        names = ("memory.max", "memory.current") if version2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        # no such file, or "max" in it: no limit here
        with contextlib.suppress(OSError, ValueError):
            most, used = (int((folder / name).read_text()) for name in names)
            counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            # pages of files count as used, but make way
            idle = int(counts.get("inactive_file" if version2 else "total_inactive_file", 0))
            yield most, used - idle


def has_room(folder: Path, size_bytes: int, budget_gb: float) -> bool:
    """Whether this many bytes may and can be written to `folder`; the oldest folders beside it make way."""
    if size_bytes > budget_gb * GB:
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _clear_oldest(folder, int(budget_gb * GB) - size_bytes)
        return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > size_bytes * 1.05
    except OSError:
        return False


def _clear_oldest(folder: Path, left: int) -> None:
    """Remove folders beside this one, longest unused first, until they hold at most `left` bytes."""
    others = [(_used_last(path), path) for path in folder.parent.iterdir() if path.is_dir() and path != folder]
    for _, path in sorted(others, reverse=True):
        left -= _size_bytes(path)
        if left < 0:
            shutil.rmtree(path, ignore_errors=True)


def _used_last(folder: Path) -> int:
    # another process may have removed it just now
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime_ns
    return 0


def _size_bytes(folder: Path) -> int:
    total = 0
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            total += file.stat().st_size
    return total


def touch(folder: Path) -> None:
    """Note that a folder was used just now."""
    with contextlib.suppress(OSError):
        os.utime(folder)
