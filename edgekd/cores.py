"""How many processor cores this process may use, its control groups' quotas counted."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("sys/fs/cgroup")
OWN_CGROUPS = Path("proc/self/cgroup")
_NUMBER = r"[1-9][0-9]{0,15}"


def available_cores(root: Path = Path("/")) -> int:
    """The cores this process may use, the CPU quota of every control group above it counted, at least 1.

    `root` is where /proc and /sys are read.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    groups = control_groups("cpu", root / CGROUPS, root / OWN_CGROUPS)
    quotas = [found for folder in groups if (found := _quota(folder)) is not None]
    return max(1, min([cores, *map(round, quotas)]))


def control_groups(controller: str, mount: Path, own: Path) -> Iterator[Path]:
    """The folders of this process's control groups with this controller, of versions 1 and 2, up to their roots.

    `own` is the file that names them. Where it cannot be read, the roots of the mount count.
    """
    lines = _read(own).splitlines() or ["0::/", f"1:{controller}:/"]
    seen: set[Path] = set()
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if controllers and controller not in controllers.split(","):
            continue
        # Inside a container the path may be the host's, which is not seen from here; the root is then the container's.
        place = Path(path.lstrip("/"))
        roots = (mount / controllers, mount / controller) if controllers else (mount, mount / "unified")
        for folder in (root / part for root in roots for part in (place, *place.parents)):
            if folder not in seen and folder.is_dir():
                seen.add(folder)
                yield folder


def _quota(folder: Path) -> float | None:
    """Cores that a control group's quota is worth; None where it has none."""
    version1 = f"{_read(folder / 'cpu.cfs_quota_us')} {_read(folder / 'cpu.cfs_period_us')}"
    for text in (_read(folder / "cpu.max"), version1):
        if found := re.fullmatch(rf"({_NUMBER}) ({_NUMBER})", text):
            return int(found[1]) / int(found[2])
    return None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
