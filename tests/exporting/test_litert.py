"""The converter's environment: no room, no network and a half-made one leave nothing behind."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from edgekd.errors import DataError, MissingDependency
from edgekd.exporting import litert
from edgekd.exporting.litert import make_environment
from edgekd.report import Silent

Usage = namedtuple("Usage", ("total", "used", "free"))


def test_without_room_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100, 99, 2_000_000_000))
    with pytest.raises(DataError, match=r"2\.0 GB are free"):
        make_environment(tmp_path / "env", Silent())
    assert not (tmp_path / "env").exists()


def test_without_a_network_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    for name, value in {"PIP_RETRIES": "0", "PIP_TIMEOUT": "1", "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(litert, "GIGABYTES", 0.0)
    with pytest.raises(MissingDependency, match="cannot be installed"):
        make_environment(tmp_path / "env", Silent())
    assert not (tmp_path / "env").exists()
