"""Sensors of electric power or energy: Intel and AMD's RAPL, the INA3221 of Jetson boards, a Raspberry Pi 5's PMIC."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from edgekd.profiling.device.host import read_line, read_number, sysroot

RAPL = "sys/class/powercap"
WHOLE_BOARD = re.compile(r"VDD_IN|POM_5V_IN|VIN")
"""Labels of the INA3221 channel that feeds the whole board."""
PMIC = re.compile(r"^\s*(\w+)_([AV])\s+(?:current|volt)\(\d+\)=([0-9.]+)[AV]", re.MULTILINE)
VCGENCMD = "usr/bin/vcgencmd"


class Sensor(Protocol):
    """Something that tells energy (J since some time, `is_counter`) or power (W now)."""

    @property
    def name(self) -> str:
        """What it is and what it covers."""

    @property
    def is_counter(self) -> bool:
        """Whether `read` counts joules, rather than telling watts."""

    def read(self) -> float | None:
        """The value now; None when it cannot be read."""


@dataclass
class Rapl:
    """The energy counters of all processor packages; each starts anew at its own limit."""

    zones: tuple[str, ...]
    name: str = "RAPL (processor packages)"
    is_counter: bool = True
    _last: dict[str, int] = field(default_factory=dict)
    _joules: float = 0.0

    def read(self) -> float | None:
        """Joules since the first call."""
        for zone in self.zones:
            now = read_number(f"{zone}/energy_uj")
            if now is None:
                return None
            gone = now - self._last.get(zone, now)
            if gone < 0:
                gone += read_number(f"{zone}/max_energy_range_uj") or 0
            self._last[zone] = now
            self._joules += gone / 1e6
        return self._joules


@dataclass(frozen=True)
class Ina3221:
    """Current and voltage of one channel (hwmon: mA, mV)."""

    current: str
    voltage: str
    name: str
    is_counter: bool = False

    def read(self) -> float | None:
        """Watts now."""
        current, voltage = read_number(self.current), read_number(self.voltage)
        return None if current is None or voltage is None else current * voltage / 1e6


@dataclass(frozen=True)
class Pmic:
    """The rails of a Raspberry Pi 5, summed; what its USB ports and the converters themselves take is not in it."""

    program: Path
    name: str = "Raspberry Pi 5 PMIC (sum of its rails)"
    is_counter: bool = False

    def read(self) -> float | None:
        """Watts now."""
        try:
            done = subprocess.run(
                [self.program, "pmic_read_adc"], capture_output=True, text=True, timeout=2, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return rail_watts(done.stdout)


def rail_watts(text: str) -> float | None:
    """Current times voltage of every rail that has both, summed, in what `vcgencmd pmic_read_adc` prints."""
    values: dict[str, dict[str, float]] = {}
    for rail, kind, value in PMIC.findall(text):
        values.setdefault(rail, {})[kind] = float(value)
    both = [each["A"] * each["V"] for each in values.values() if len(each) == 2]
    return sum(both) if both else None


def find_sensor() -> Sensor | str:
    """The sensor of this machine, or words on why there is none that can be read."""
    faults = []
    for find in (_rapl, _ina3221, _pmic):
        found = find()
        if found is not None and not isinstance(found, str):
            if found.read() is not None:
                return found
            found = f"{found.name} cannot be read"
        if found:
            faults.append(found)
    return "; ".join(faults) or "no sensor: neither RAPL, nor an INA3221, nor vcgencmd pmic_read_adc"


def _rapl() -> Rapl | str | None:
    zones = [
        zone
        for zone in _under(RAPL, "intel-rapl:*")
        if re.fullmatch(r"intel-rapl:\d+", Path(zone).name) and (read_line(f"{zone}/name") or "").startswith("package")
    ]
    if not zones:
        return None
    closed = next((each for each in zones if not os.access(sysroot() / each / "energy_uj", os.R_OK)), None)
    if closed is not None:
        return f"/{closed}/energy_uj may not be read: run as root, or allow it with chmod a+r"
    return Rapl(tuple(zones))


def _ina3221() -> Ina3221 | None:
    """The channel of the whole board."""
    for label in _under("sys/bus/i2c/drivers/ina3221", "*/hwmon/hwmon*/in*_label"):
        words = read_line(label) or ""
        if WHOLE_BOARD.search(words):
            channel = re.sub(r"in(\d+)_label$", r"\1", Path(label).name)
            folder = Path(label).parent.as_posix()
            return Ina3221(f"{folder}/curr{channel}_input", f"{folder}/in{channel}_input", f"INA3221 ({words})")
    return None


def _pmic() -> Pmic | str | None:
    if "Raspberry Pi 5" not in (read_line("proc/device-tree/model", "sys/firmware/devicetree/base/model") or ""):
        return None
    inside = sysroot() / VCGENCMD
    program = str(inside) if inside.is_file() else shutil.which("vcgencmd")
    return Pmic(Path(program)) if program else "vcgencmd is not installed (package raspi-utils)"


def _under(place: str, pattern: str) -> list[str]:
    root = sysroot()
    return sorted(path.relative_to(root).as_posix() for path in (root / place).glob(pattern))
