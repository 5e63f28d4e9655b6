"""Profiles: the shipped ones are sound, wrong ones are refused with what would be right."""

from pathlib import Path

import pytest

from edgekd.errors import ProfileError
from edgekd.profiling.device.profiles import find_device, folder, names, read_device

GOOD = """
title = "Board"
[cpu]
arch = "aarch64"
model = "Cortex-A72"
cores = 4
threads = 4
[budget]
max_latency_ms = 100
percentile = 90
batch = 8
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "board.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", names())
def test_every_shipped_profile_is_sound(name: str) -> None:
    device = find_device(name)
    assert device.name == name
    assert device.sources
    assert device.budget.max_latency_ms is not None
    assert 1 <= device.cpu.threads <= device.cpu.cores


@pytest.mark.parametrize(
    ("name", "latency_ms", "rss_mb", "size_mb", "threads"),
    [
        ("raspberry-pi-zero-2w", 200, 150, 15, 4),
        ("raspberry-pi-3b-plus", 150, 250, 25, 4),
        ("raspberry-pi-4", 100, 400, 50, 4),
        ("raspberry-pi-5", 33, 800, 100, 4),
        ("jetson-nano-cpu", 100, 600, 50, 4),
        ("jetson-orin-nano-cpu", 33, 1000, 100, 6),
        ("coral-dev-board-mini-cpu", 250, 400, 25, 4),
        ("intel-n100", 33, 1000, 100, 4),
        ("github-runner", 50, 1000, 100, 4),
    ],
)
def test_the_limits_of_the_boards(name: str, latency_ms: int, rss_mb: int, size_mb: int, threads: int) -> None:
    device = find_device(name)
    limits = device.budget
    assert (limits.max_latency_ms, limits.max_rss_mb, limits.max_size_mb) == (latency_ms, rss_mb, size_mb)
    assert (limits.percentile, device.batch, device.cpu.threads) == (95, 1, threads)


def test_the_small_student_constraints_are_one_file() -> None:
    device = find_device("p2-constraints")
    limits = device.budget
    assert (limits.max_params, limits.max_train_minutes, limits.max_latency_ms) == (11_999, 120, 50)
    assert device.batch == 100


def test_a_path_works_where_a_name_does(tmp_path: Path) -> None:
    device = find_device(str(written(tmp_path, GOOD)))
    assert (device.title, device.batch, device.budget.percentile) == ("Board", 8, 90)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(ProfileError) as caught:
        find_device("rasberry-pi4")
    assert "raspberry-pi-4" in caught.value.hint


@pytest.mark.parametrize(
    ("line", "new", "problem", "hint"),
    [
        ("max_latency_ms = 100", "max_latncy_ms = 100", "[budget] max_latncy_ms", "max_latency_ms"),
        ("max_latency_ms = 100", "max_latency_ms = -100", "max_latency_ms is -100", "at least"),
        ("max_latency_ms = 100", "max_latency_ms = 0", "max_latency_ms is 0", "at least"),
        ("max_latency_ms = 100", 'max_latency_ms = "fast"', "not a number", "number"),
        ("max_latency_ms = 100", "max_latency_ms = true", "not a number", "number"),
        ("max_latency_ms = 100", "max_latency_ms = nan", "is nan, not a number", "number"),
        ("percentile = 90", "percentile = 100", "percentile is 100", "99.9"),
        ("batch = 8", "batch = 0", "batch: it is 0", "from 1 to"),
        ("[budget]", "[budgets]", "budgets: no such field", "budget"),
        ("cores = 4", "cores = 4.5", "cpu.cores is 4.5", "whole number"),
        ("cores = 4", "", "cores", "add it"),
        ("threads = 4", "threads = -1", "cpu.threads is -1", "from 1"),
        ('arch = "aarch64"', "arch = 64", "cpu.arch is 64", "text"),
        ('arch = "aarch64"', 'arch = "a"\nisa = "neon"', "isa is 'neon', not a list", "list"),
        ("[cpu]", "[cup]", "cup: no such field", "cpu"),
        ("[cpu]", "[cpu", "not valid TOML", "give"),
        ('title = "Board"', 'title = "Board"\ncpu = 3', "TOML", ""),
        ('title = "Board"', "", "title", "add it"),
    ],
)
def test_a_wrong_profile_is_refused(tmp_path: Path, line: str, new: str, problem: str, hint: str) -> None:
    path = written(tmp_path, GOOD.replace(line, new))
    with pytest.raises(ProfileError) as caught:
        read_device(path)
    assert str(path) in caught.value.problem
    assert problem in caught.value.problem
    assert hint in caught.value.hint


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ProfileError, match=r"nowhere\.toml: no such file"):
        find_device("nowhere.toml")


def test_profiles_lie_beside_the_package_or_in_it() -> None:
    assert folder().name == "profiles"
    assert (folder() / "raspberry-pi-4.toml").is_file()
