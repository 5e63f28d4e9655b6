"""The machine from files: boards, PCs, and nothing at all."""

from collections.abc import Callable

import pytest

from edgekd.profiling.device.host import elsewhere, read_host, usable_cores

Machine = Callable[[dict[str, str]], None]

PI_CPUINFO = """processor\t: 0
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU part\t: 0xd08

processor\t: 1
CPU part\t: 0xd08
"""


def test_a_raspberry_pi(machine: Machine) -> None:
    machine(
        {
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            "proc/cpuinfo": PI_CPUINFO,
            "proc/meminfo": "MemTotal:         931000 kB\n",
            "proc/sys/kernel/osrelease": "6.6.31-v8+\n",
            "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        }
    )
    host = read_host()
    assert (host.board, host.cpu) == ("Raspberry Pi 4 Model B Rev 1.4", "Cortex-A72")
    assert (host.cpu_parts, host.features) == (("0xd08",), ("asimd",))
    assert (host.memory_mb, host.kernel) == (953.344, "6.6.31-v8+")
    assert host.system == "Debian GNU/Linux 12 (bookworm)"


def test_a_pc(machine: Machine) -> None:
    machine({"proc/cpuinfo": "model name\t: Intel(R) N100\nflags\t\t: fpu avx2 avx_vnni sse\n"})
    host = read_host()
    assert (host.board, host.title) == (None, "Intel(R) N100")
    assert host.features == ("avx2", "avx_vnni")


def test_two_kinds_of_cores_are_both_named(machine: Machine) -> None:
    machine({"proc/cpuinfo": "CPU part\t: 0xd0b\n\nCPU part\t: 0xFFF\n"})
    assert read_host().cpu == "Cortex-A76 + Arm part 0xfff"


def test_a_machine_without_files_is_survived(machine: Machine) -> None:
    machine({})
    host = read_host()
    assert (host.board, host.features, host.memory_mb) == (None, (), None)
    assert host.cpu and host.kernel and host.system


def test_names_are_shown_on_one_line(machine: Machine) -> None:
    board = "Raspberry Pi 4\x1b[31m\nModel B" + "x" * 500
    machine({"proc/device-tree/model": board, "proc/cpuinfo": "CPU part\t: banana\nmodel name\t: \x07bell\n"})
    host = read_host()
    assert host.board is not None
    assert (host.board[:27], len(host.board), host.cpu) == ("Raspberry Pi 4 [31m Model B", 100, "bell")
    assert host.cpu_parts == ()


def test_the_second_place_of_the_board_s_name_counts(machine: Machine) -> None:
    machine({"proc/device-tree/model": "\0", "sys/firmware/devicetree/base/model": "Raspberry Pi 5 Model B Rev 1.0\0"})
    assert read_host().board == "Raspberry Pi 5 Model B Rev 1.0"


def test_files_of_another_root_are_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "EDGEKD_SYSROOT" in elsewhere()[0]
    monkeypatch.delenv("EDGEKD_SYSROOT")
    assert elsewhere() == []


@pytest.mark.parametrize(
    ("quota", "most"),
    [
        ("100000 100000", 1),
        ("max 100000", 1024),
        ("50000 100000", 1),
        ("100000 0", 1024),
        ("junk", 1024),
        ("9" * 6000, 1024),
    ],
)
def test_a_container_s_quota_counts(machine: Machine, quota: str, most: int) -> None:
    machine({"sys/fs/cgroup/cpu.max": quota})
    assert 1 <= usable_cores() <= most
