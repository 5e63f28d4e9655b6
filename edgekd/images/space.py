"""Room for canvases: how much memory and disk may be used, and what has to go when it is full."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from edgekd.cores import control_groups
from edgekd.ranks import place as own_place
from edgekd.reading import at_home
from edgekd.report import Reporter

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

GB = 10**9

_SHARE_OF_MEMORY = 0.4
_CGROUP = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def cache_root() -> Path:
    """The folder for everything that can be made again: $EDGEKD_CACHE or ~/.cache/edgekd.

    Where there is no home, or it cannot be written, a folder of this user's among the temporary files.
    """
    named = os.environ.get("EDGEKD_CACHE")
    if named:
        return at_home(named)
    place = at_home("~/.cache/edgekd")
    return place if place.is_absolute() and is_writable(place) else _temporary()


def _temporary() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"edgekd-{user}"


def tell_place(report: Reporter) -> None:
    """Say where things are kept when that is not where they should be."""
    if cache_root() == _temporary() and not os.environ.get("EDGEKD_CACHE"):
        report.note(
            f"the home folder cannot be written: decoded images and trials are kept in {cache_root()}; "
            "the environment variable EDGEKD_CACHE names another place"
        )


def is_writable(place: Path) -> bool:
    """Whether a folder can be written to or made."""
    for folder in (place, *place.absolute().parents):
        if folder.exists():
            return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    return False


def fits_memory(size_bytes: int) -> bool:
    """Whether an array of this size, in each of this machine's processes, leaves most of the free memory to others."""
    return size_bytes * own_place().local_world <= _SHARE_OF_MEMORY * free_memory()


def free_memory() -> int:
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
        _make_private(folder)
        _clear_oldest(folder, int(budget_gb * GB) - size_bytes)
        return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > size_bytes * 1.05
    except OSError:
        return False


def _make_private(folder: Path) -> None:
    """Make a folder; raises PermissionError where another user has put one in its place among the temporary files."""
    root = _temporary()
    if folder.is_relative_to(root):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid") and root.stat().st_uid != os.getuid():
            raise PermissionError(errno.EPERM, "belongs to another user", root)
    folder.mkdir(parents=True, exist_ok=True)


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
