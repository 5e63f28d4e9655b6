"""What may change while measuring (heat, clocks, throttling, load, memory), and words when it spoils the result."""

import re
from dataclasses import dataclass

from edgekd.profiling.device.host import meminfo, read_line, read_number, read_text, sysroot

THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
"""Where a Raspberry Pi's firmware tells; a kernel may add an address to each `soc`."""

THROTTLE_BITS = {
    0: "under-voltage (the power supply is too weak)",
    1: "the clock is capped",
    2: "throttled",
    3: "the soft temperature limit is reached",
}
"""Raspberry Pi firmware: these bits hold now, the same 16 higher since boot."""

POSSIBLE_C = (-60.0, 160.0)
"""A sensor that tells anything else is not there."""

HOT_C = 80.0
BUSY = 0.5
SCARCE_MB = 64.0
RUNNING_FREELY = ("intel_pstate", "amd-pstate", "amd-pstate-epp")
"""Clock drivers under which the governor `powersave` does not hold the clock down."""


@dataclass(frozen=True)
class Conditions:
    """One look; None or empty where the machine does not tell."""

    temperature_c: float | None
    throttled: int | None
    governor: str | None
    driver: str | None
    clock_mhz: float | None
    clock_limit_mhz: float | None
    clock_design_mhz: float | None
    cooling: tuple[str, ...]
    load: float | None
    free_mb: float | None
    power_mode: str | None


def read_conditions() -> Conditions:
    """Look now."""
    clock = "sys/devices/system/cpu/cpu0/cpufreq"
    return Conditions(
        temperature_c=_temperature(),
        throttled=_throttled(),
        governor=read_line(f"{clock}/scaling_governor"),
        driver=read_line(f"{clock}/scaling_driver"),
        clock_mhz=_mhz(f"{clock}/scaling_cur_freq"),
        clock_limit_mhz=_mhz(f"{clock}/scaling_max_freq"),
        clock_design_mhz=_mhz(f"{clock}/cpuinfo_max_freq"),
        cooling=_cooling(),
        load=_load(),
        free_mb=meminfo("MemAvailable"),
        power_mode=read_line("var/lib/nvpmodel/status"),
    )


def explain(before: Conditions, after: Conditions) -> list[str]:
    """Words for everything in these two looks that may spoil the result."""
    words = _throttle_words(before.throttled, after.throttled)
    hottest = max((each for each in (before.temperature_c, after.temperature_c) if each is not None), default=0.0)
    if hottest >= HOT_C:
        words.append(f"hot: {hottest:.0f} C; boards slow down from {HOT_C:.0f} C on: cool it, or expect drift")
    if before.load is not None and before.load > BUSY:
        words.append(f"the machine was busy: load average {before.load:.2f} before measuring (over {BUSY})")
    words += [f"slowed down by its cooling device {name}" for name in sorted({*before.cooling, *after.cooling})]
    limit, design = after.clock_limit_mhz, after.clock_design_mhz
    if limit is not None and design is not None and limit < design:
        words.append(f"the clock is limited to {limit:.0f} of {design:.0f} MHz (scaling_max_freq)")
    if before.governor == "powersave" and before.driver not in RUNNING_FREELY:
        words.append("the governor is powersave: the clock stays at its lowest")
    if before.free_mb is not None and before.free_mb < SCARCE_MB:
        words.append(f"memory is scarce: {before.free_mb:.0f} MB free before measuring")
    return words


def _throttle_words(before: int | None, after: int | None) -> list[str]:
    words = []
    for bit, name in THROTTLE_BITS.items():
        now, since = 1 << bit, 1 << bit + 16
        if (before or 0) & now or (after or 0) & now:
            words.append(f"throttled while measuring: {name}")
        elif (after or 0) & since and not (before or 0) & since:
            words.append(f"throttled while measuring, over now: {name}")
        elif ((before or 0) | (after or 0)) & since:
            words.append(f"throttled at some time since boot, not now: {name}")
    return words


def _throttled() -> int | None:
    others = _under("sys/devices/platform", "soc*/soc*:firmware/get_throttled")
    found = re.fullmatch(r"(?:throttled=)?(?:0[xX])?([0-9a-fA-F]{1,5})", read_text(THROTTLED, *others) or "")
    return int(found[1], 16) if found else None


def _load() -> float | None:
    found = re.match(r"[0-9]{1,6}\.[0-9]{1,6}\b", read_text("proc/loadavg") or "")
    return float(found[0]) if found else None


def _mhz(place: str) -> float | None:
    found = read_number(place)
    return found / 1000 if found and found > 0 else None


def _temperature() -> float | None:
    """The hottest thermal zone, C."""
    found = [read_number(f"{zone}/temp") for zone in _under("sys/class/thermal", "thermal_zone*")]
    low, high = POSSIBLE_C
    return max((each / 1000 for each in found if each is not None and low <= each / 1000 <= high), default=None)


def _cooling() -> tuple[str, ...]:
    """Cooling devices that hold the processor down now; a fan that turns is none of them."""
    return tuple(
        f"{place.rpartition('/')[2]} ({kind})"
        for place in _under("sys/class/thermal", "cooling_device*")
        if (kind := read_line(f"{place}/type"))
        and re.search("cpu|processor", kind, re.IGNORECASE)
        and (read_number(f"{place}/cur_state") or 0) > 0
    )


def _under(place: str, pattern: str) -> list[str]:
    root = sysroot()
    return sorted(path.relative_to(root).as_posix() for path in (root / place).glob(pattern))
