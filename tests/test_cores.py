"""Cores within the quotas of control groups, read under another root."""

import os
from pathlib import Path

import pytest

from edgekd.cores import available_cores

V2 = "sys/fs/cgroup"


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def cores(root: Path, own: str | None, **files: str) -> int:
    if own is not None:
        files["proc/self/cgroup"] = own
    for place, text in files.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)
    return available_cores(root)


def test_without_files_all_count(tmp_path: Path) -> None:
    assert cores(tmp_path, None) == 8


@pytest.mark.parametrize(
    ("quota", "count"),
    [
        ("300000 100000\n", 3),
        ("250 100", 2),
        ("10000 100000", 1),
        ("max 100000", 8),
        ("1600000 100000", 8),
        ("100000 0", 8),
        ("junk", 8),
        ("9" * 6000, 8),
    ],
)
def test_a_container_at_its_root(tmp_path: Path, quota: str, count: int) -> None:
    assert cores(tmp_path, "0::/\n", **{f"{V2}/cpu.max": quota}) == count
    (tmp_path / "proc/self/cgroup").unlink()
    assert cores(tmp_path, None) == count


def test_every_group_above_counts(tmp_path: Path) -> None:
    """As systemd nests a service in its slice; the group's own `max` leaves the slice's limit."""
    files = {f"{V2}/a/cpu.max": "200000 100000", f"{V2}/a/b/cpu.max": "500000 100000", f"{V2}/a/b/c/cpu.max": "max 1"}
    assert cores(tmp_path, "0::/a/b/c\n", **files) == 2
    assert cores(tmp_path, "0::/other\n") == 8


@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct"])
def test_version_1(tmp_path: Path, folder: str) -> None:
    place = f"{V2}/{folder}/docker/abc"
    files = {f"{place}/cpu.cfs_quota_us": "400000\n", f"{place}/cpu.cfs_period_us": "100000\n"}
    assert cores(tmp_path, "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n", **files) == 4
    assert cores(tmp_path, "4:cpu,cpuacct:/docker/abc\n", **{f"{place}/cpu.cfs_quota_us": "-1\n"}) == 8


def test_inside_a_container_the_path_is_the_host_s(tmp_path: Path) -> None:
    files = {f"{V2}/cpu/cpu.cfs_quota_us": "150000", f"{V2}/cpu/cpu.cfs_period_us": "50000"}
    assert cores(tmp_path, "4:cpu,cpuacct:/kubepods/pod1/abc\n", **files) == 3


def test_version_2_beside_version_1(tmp_path: Path) -> None:
    assert cores(tmp_path, "4:cpu:/\n0::/x\n", **{f"{V2}/unified/x/cpu.max": "200000 100000"}) == 2
