"""Boards of files: each sensor is found and read, and what may not be read is said."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekd.profiling.device.power import Ina3221, Pmic, Rapl, find_sensor, rail_watts

Write = Callable[[dict[str, str]], None]
ZONE = "sys/class/powercap/intel-rapl:"
PMIC = """\
   3V7_WL_SW_A current(0)=0.10000000A
   VDD_CORE_A current(7)=2.00000000A
   3V7_WL_SW_V volt(8)=3.70000000V
   VDD_CORE_V volt(15)=0.80000000V
   EXT5V_V volt(24)=5.10000000V
"""


def package(number: int, energy: int, limit: int = 1000) -> dict[str, str]:
    zone = f"{ZONE}{number}"
    return {
        f"{zone}/name": f"package-{number}\n",
        f"{zone}/energy_uj": f"{energy}\n",
        f"{zone}/max_energy_range_uj": f"{limit}\n",
        f"{ZONE}{number}:0/name": "core\n",
        f"{ZONE}{number}:0/energy_uj": "5\n",
    }


def test_rapl_adds_up_packages_and_survives_its_wrap(machine: Write) -> None:
    machine(package(0, 900) | package(1, 100))
    sensor = find_sensor()
    assert isinstance(sensor, Rapl) and len(sensor.zones) == 2 and sensor.read() == 0
    machine(package(0, 50) | package(1, 300))  # 150 of 1000 uJ after the wrap, and 200
    assert sensor.read() == pytest.approx(350e-6)


@pytest.mark.skipif(os.getuid() == 0 if hasattr(os, "getuid") else True, reason="root may read everything")
def test_a_counter_that_may_not_be_read_is_named(machine: Write, tmp_path: Path) -> None:
    machine(package(0, 900))
    (tmp_path / "root" / f"{ZONE}0" / "energy_uj").chmod(0)
    found = find_sensor()
    assert isinstance(found, str) and "intel-rapl:0/energy_uj may not be read: run as root" in found


def test_a_jetson_is_read_at_its_input(machine: Write) -> None:
    folder = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
    machine(
        {
            f"{folder}/in1_label": "VDD_CPU_GPU_CV",
            f"{folder}/in2_label": "VDD_IN",
            f"{folder}/in2_input": "5000",
            f"{folder}/curr2_input": "1200",
        }
    )
    sensor = find_sensor()
    assert isinstance(sensor, Ina3221) and sensor.read() == pytest.approx(6.0) and "VDD_IN" in sensor.name


def test_the_rails_of_a_raspberry_pi_are_added_up(machine: Write, tmp_path: Path) -> None:
    assert rail_watts(PMIC) == pytest.approx(0.1 * 3.7 + 2.0 * 0.8)
    machine(
        {
            "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0",
            "usr/bin/vcgencmd": f"#!/bin/sh\ncat <<X\n{PMIC}X\n",
        }
    )
    (tmp_path / "root" / "usr/bin/vcgencmd").chmod(0o755)
    sensor = find_sensor()
    assert isinstance(sensor, Pmic) and sensor.read() == pytest.approx(1.97)


def test_an_old_firmware_s_answer_is_no_measurement(machine: Write, tmp_path: Path) -> None:
    machine({"proc/device-tree/model": "Raspberry Pi 5", "usr/bin/vcgencmd": "#!/bin/sh\necho error=1\n"})
    (tmp_path / "root" / "usr/bin/vcgencmd").chmod(0o755)
    found = find_sensor()
    assert isinstance(found, str) and "cannot be read" in found


def test_without_a_sensor_that_is_said(machine: Write) -> None:
    machine({"proc/cpuinfo": ""})
    found = find_sensor()
    assert isinstance(found, str) and found.startswith("no sensor")
