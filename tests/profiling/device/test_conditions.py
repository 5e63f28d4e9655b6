"""Throttling, heat, load: what the files say, in words."""

from collections.abc import Callable

import pytest

from edgekd.profiling.device.conditions import THROTTLED, Conditions, explain, read_conditions

Machine = Callable[[dict[str, str]], None]

CLOCK = "sys/devices/system/cpu/cpu0/cpufreq"


def seen(machine: Machine, files: dict[str, str]) -> Conditions:
    machine(files)
    return read_conditions()


def words(machine: Machine, files: dict[str, str]) -> str:
    found = seen(machine, files)
    return "\n".join(explain(found, found))


def test_a_calm_board_needs_no_words(machine: Machine) -> None:
    files = {
        THROTTLED: "0\n",
        "sys/class/thermal/thermal_zone0/temp": "48300\n",
        "proc/loadavg": "0.10 0.10 0.10 1/100 99\n",
        "proc/meminfo": "MemAvailable:     780000 kB\n",
        f"{CLOCK}/scaling_governor": "ondemand\n",
        f"{CLOCK}/scaling_cur_freq": "600000\n",
        f"{CLOCK}/scaling_max_freq": "1800000\n",
        f"{CLOCK}/cpuinfo_max_freq": "1800000\n",
    }
    assert words(machine, files) == ""
    found = read_conditions()
    assert (found.temperature_c, found.throttled, found.load) == (48.3, 0, 0.10)
    assert (found.governor, found.clock_mhz, found.clock_limit_mhz) == ("ondemand", 600.0, 1800.0)


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        ("50005", ["while measuring: under-voltage", "while measuring: throttled"]),
        ("2", ["while measuring: the clock is capped"]),
        ("0x8", ["while measuring: the soft temperature limit"]),
        ("throttled=0x10000", ["since boot, not now: under-voltage"]),
    ],
)
def test_every_throttle_bit_has_words(machine: Machine, bits: str, expected: list[str]) -> None:
    found = words(machine, {THROTTLED: bits})
    assert all(each in found for each in expected)
    assert len(found.splitlines()) == len(expected)


def test_throttling_that_came_and_went_is_noticed(machine: Machine) -> None:
    before = seen(machine, {THROTTLED: "0"})
    after = seen(machine, {THROTTLED: "40000"})
    assert explain(before, after) == ["throttled while measuring, over now: throttled"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"sys/class/thermal/thermal_zone1/temp": "81000"}, "hot: 81 C"),
        ({"proc/loadavg": "1.73 1 1 1/1 1"}, "the machine was busy: load average 1.73"),
        ({f"{CLOCK}/scaling_max_freq": "600000", f"{CLOCK}/cpuinfo_max_freq": "1800000"}, "600 of 1800 MHz"),
        ({f"{CLOCK}/scaling_governor": "powersave"}, "governor is powersave"),
        ({"proc/meminfo": "MemAvailable:      20000 kB\n"}, "memory is scarce: 20 MB"),
        (
            {
                "sys/class/thermal/cooling_device0/type": "cpufreq-cpu0",
                "sys/class/thermal/cooling_device0/cur_state": "2",
            },
            "cooling device cooling_device0",
        ),
    ],
)
def test_what_spoils_a_result_is_told(machine: Machine, files: dict[str, str], expected: str) -> None:
    assert expected in words(machine, files)


def test_a_turning_fan_spoils_nothing(machine: Machine) -> None:
    place = "sys/class/thermal/cooling_device0"
    assert words(machine, {f"{place}/type": "pwm-fan", f"{place}/cur_state": "3"}) == ""


def test_intel_s_powersave_spoils_nothing(machine: Machine) -> None:
    files = {f"{CLOCK}/scaling_governor": "powersave", f"{CLOCK}/scaling_driver": "intel_pstate"}
    assert words(machine, files) == ""


@pytest.mark.parametrize("junk", ["", "9" * 6000, "-1", "nan nan nan", "\x1b[31m|\n\ufffd", "\u00b2", "0x"])
def test_no_content_is_believed_that_cannot_be(machine: Machine, junk: str) -> None:
    clock = ("scaling_governor", "scaling_driver", "scaling_cur_freq", "scaling_max_freq", "cpuinfo_max_freq")
    files = [
        THROTTLED,
        "sys/class/thermal/thermal_zone0/temp",
        "proc/loadavg",
        "proc/meminfo",
        "var/lib/nvpmodel/status",
    ]
    found = seen(machine, dict.fromkeys(files + [f"{CLOCK}/{name}" for name in clock], junk))
    assert (found.load, found.free_mb, found.clock_mhz, found.throttled) == (None, None, None, None)
    assert explain(found, found) == []
    assert all(word is None or word.isprintable() for word in (found.governor, found.driver, found.power_mode))


def test_a_sensor_that_is_not_there_is_not_hot(machine: Machine) -> None:
    zone = "sys/class/thermal/thermal_zone"
    files = {f"{zone}0/temp": "999999999", f"{zone}1/temp": "-273150", f"{zone}2/temp": "47000"}
    assert seen(machine, files).temperature_c == 47.0


def test_a_newer_kernel_s_firmware_is_found(machine: Machine) -> None:
    place = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
    assert "the soft temperature limit" in words(machine, {place: "80008\n"})


def test_absent_or_odd_files_are_survived(machine: Machine) -> None:
    found = seen(
        machine, {THROTTLED: "what?", "sys/class/thermal/thermal_zone0/temp": "", f"{CLOCK}/scaling_max_freq": "x"}
    )
    assert (found.temperature_c, found.throttled, found.load, found.free_mb) == (None, None, None, None)
    assert explain(found, found) == []
