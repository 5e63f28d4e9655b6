"""Is this machine the profile's device?"""

from dataclasses import replace

import pytest

from edgekd.profiling.device.host import Host
from edgekd.profiling.device.identity import identify
from edgekd.profiling.device.profiles import find_device

PI4 = Host(
    board="Raspberry Pi 4 Model B Rev 1.4",
    cpu="Cortex-A72",
    cpu_parts=("0xd08",),
    features=("asimd",),
    arch="aarch64",
    cores=4,
    memory_mb=953.0,
    kernel="6.6",
    system="Debian",
    page_bytes=4096,
)
PC = replace(PI4, board=None, cpu="AMD EPYC", cpu_parts=(), features=("avx2",), arch="x86_64")


def test_the_board_itself_is_recognised() -> None:
    found = identify(find_device("raspberry-pi-4"), PI4)
    assert found.is_device
    assert "measured on the device itself" in found.statement


@pytest.mark.parametrize("name", ["raspberry-pi-5", "raspberry-pi-3b-plus", "jetson-nano-cpu", "intel-n100"])
def test_another_board_is_not(name: str) -> None:
    found = identify(find_device(name), PI4)
    assert found.is_device is False
    assert "says nothing about the board" in found.statement


def test_a_pc_is_no_board() -> None:
    assert identify(find_device("raspberry-pi-4"), PC).is_device is False


@pytest.mark.parametrize(
    "host",
    [
        replace(PC, board=PI4.board),
        replace(PC, board=PI4.board, arch="aarch64"),
        replace(PI4, cpu_parts=("0xd0b",), cpu="Cortex-A76"),
    ],
)
def test_a_board_name_on_another_processor_is_an_emulation(host: Host) -> None:
    found = identify(find_device("raspberry-pi-4"), host)
    assert found.is_device is False
    assert "calls itself Raspberry Pi 4 Model B" in found.statement


def test_a_jetson_orin_is_no_jetson_nano() -> None:
    orin = replace(PI4, board="NVIDIA Jetson Orin Nano Developer Kit", cpu_parts=("0xd42",), cpu="Cortex-A78AE")
    assert identify(find_device("jetson-orin-nano-cpu"), orin).is_device
    assert identify(find_device("jetson-nano-cpu"), orin).is_device is False


def test_a_pc_is_recognised_by_its_processor() -> None:
    assert identify(find_device("intel-n100"), replace(PC, cpu="Intel(R) N100")).is_device


def test_a_runner_is_recognised_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert identify(find_device("github-runner"), PC).is_device is False
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert identify(find_device("github-runner"), PC).is_device


def test_constraints_without_a_machine_say_so() -> None:
    found = identify(find_device("p2-constraints"), PC)
    assert found.is_device is None
    assert "names no machine" in found.statement
