"""`edgekd devices`."""

import tomllib
from pathlib import Path

import pytest

from edgekd.config import Devices
from edgekd.errors import ProfileError, UsageError
from edgekd.recipes.devices import run
from edgekd.report import Silent


def test_all_shipped_profiles_are_listed() -> None:
    found = run(Devices(), Silent())
    names = [device["name"] for device in found.data["devices"]]
    assert {"raspberry-pi-4", "intel-n100", "github-runner", "p2-constraints"} <= set(names)
    assert [row[0] for row in found.tables[0].rows] == names
    assert "targets" in found.lines[0]


def test_one_is_shown_with_its_limits() -> None:
    found = run(Devices(action="show", name="raspberry-pi-5"), Silent())
    assert found.data["budget"]["max_latency_ms"] == 33
    assert found.data["is_this_machine"] is False
    assert ["budget.max_rss_mb", 800.0] in [list(row) for row in found.tables[0].rows]


def test_an_unknown_one_gets_the_nearest() -> None:
    with pytest.raises(ProfileError) as caught:
        run(Devices(action="show", name="raspberry-pi-6"), Silent())
    assert "raspberry-pi-5" in caught.value.hint


def test_show_needs_a_name() -> None:
    with pytest.raises(UsageError, match="which one"):
        run(Devices(action="show"), Silent())


def test_this_machine_becomes_a_profile_that_recognises_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    found = run(Devices(action="new", from_host=True, output=path), Silent())
    assert found.data["path"] == str(path)
    assert tomllib.loads(path.read_text())["cpu"]["threads"] >= 1
    assert run(Devices(action="show", name=str(path)), Silent()).data["is_this_machine"] is True


def test_a_board_s_profile_is_named_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "proc" / "device-tree").mkdir(parents=True)
    (tmp_path / "proc" / "device-tree" / "model").write_text('Odd "Board" 2\0')
    monkeypatch.setenv("EDGEKD_SYSROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found = run(Devices(action="new", from_host=True), Silent())
    assert found.data["path"] == "odd-board-2.toml"
    assert found.data["match"]["board"] == ['Odd "Board" 2']


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("keep")
    with pytest.raises(UsageError, match="exists already"):
        run(Devices(action="new", from_host=True, output=path), Silent())
    assert path.read_text() == "keep"


def test_a_new_one_needs_a_machine() -> None:
    with pytest.raises(UsageError) as caught:
        run(Devices(action="new", name="mine"), Silent())
    assert "--from-host" in caught.value.hint
