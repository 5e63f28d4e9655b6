"""This machine, from the files Linux keeps about it; each may be missing, as on other systems or in containers.

EDGEKD_SYSROOT puts another root before /proc, /sys and /etc (for tests).
"""

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from edgekd.cores import available_cores

PARTS = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd42": "Cortex-A78AE",
    "0xd49": "Neoverse-N2",
    "0xd4f": "Neoverse-V2",
}
"""Arm's part numbers, as /proc/cpuinfo gives them."""

PART = r"0[xX][0-9a-fA-F]{1,4}"
LONGEST_NAME = 100

FEATURES = (
    *("asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2", "sme", "sme2", "neon"),
    *("avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"),
)
"""The CPU features that decide which kernels ONNX Runtime takes."""


@dataclass(frozen=True)
class Host:
    """What stays the same while measuring."""

    board: str | None
    cpu: str
    cpu_parts: tuple[str, ...]
    features: tuple[str, ...]
    arch: str
    cores: int
    memory_mb: float | None
    kernel: str
    system: str
    page_bytes: int | None

    @property
    def title(self) -> str:
        """The board, or the processor where there is no board name."""
        return f"{self.board} ({self.cpu})" if self.board else self.cpu


def sysroot() -> Path:
    """The root that /proc, /sys and /etc are read under."""
    return Path(os.environ.get("EDGEKD_SYSROOT") or "/")


def elsewhere() -> list[str]:
    """A warning when this machine is described by files that were put in the place of its own."""
    root = sysroot()
    return [] if root == Path("/") else [f"the machine is described by the files under {root} (EDGEKD_SYSROOT)"]


def read_text(*places: str) -> str | None:
    """The first of these files that holds something, without NULs and outer blanks; None when none does."""
    for place in places:
        try:
            text = (sysroot() / place).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if text := text.replace("\0", "").strip():
            return text
    return None


def read_line(*places: str) -> str | None:
    """The same as one line fit to be shown: what cannot be printed is left out, and the end of a long one."""
    return _shown(read_text(*places) or "") or None


def _shown(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:LONGEST_NAME]


def read_number(place: str) -> int | None:
    """The whole number that a file holds; None when it is not there or holds something else."""
    text = read_text(place)
    return int(text) if text and re.fullmatch(r"-?[0-9]{1,15}", text) else None


def read_host() -> Host:
    """Read all of it."""
    info = read_text("proc/cpuinfo") or ""
    parts = tuple(sorted({each.lower() for each in _values(info, "CPU part") if re.fullmatch(PART, each)}))
    return Host(
        board=read_line("proc/device-tree/model", "sys/firmware/devicetree/base/model"),
        cpu=_cpu(info, parts),
        cpu_parts=parts,
        features=_features(info),
        arch=platform.machine(),
        cores=usable_cores(),
        memory_mb=meminfo("MemTotal"),
        kernel=read_line("proc/sys/kernel/osrelease") or platform.release(),
        system=_system(),
        page_bytes=os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else None,
    )


def usable_cores() -> int:
    """The cores this process may use, the quotas of its control groups counted."""
    return available_cores(sysroot())


def meminfo(key: str) -> float | None:
    """One line of /proc/meminfo in MB."""
    found = re.search(rf"^{key}:\s+([0-9]{{1,15}}) kB", read_text("proc/meminfo") or "", re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else None


def _values(info: str, key: str) -> list[str]:
    return re.findall(rf"^{key}\s*:\s*(.+?)\s*$", info, re.MULTILINE)


def _cpu(info: str, parts: tuple[str, ...]) -> str:
    if parts:
        return " + ".join(PARTS.get(part, f"Arm part {part}") for part in parts)
    named = _values(info, "model name")
    return (_shown(named[0]) if named else "") or platform.processor() or platform.machine()


def _features(info: str) -> tuple[str, ...]:
    words = set(" ".join(_values(info, "flags")[:1] + _values(info, "Features")[:1]).split())
    return tuple(each for each in FEATURES if each in words)


def _system() -> str:
    found = re.search(r'^PRETTY_NAME="?(.*?)"?$', read_text("etc/os-release") or "", re.MULTILINE)
    return (_shown(found[1]) if found else "") or platform.platform()
