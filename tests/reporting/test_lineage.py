"""Commands and parents of a run, from manifests."""

import json
import shlex
from pathlib import Path

import pytest

from edgekd.config import Distill, Finetune
from edgekd.declaration import as_dict
from edgekd.reporting.lineage import ancestors, command_line
from edgekd.runs import Run


def test_options_that_differ_are_said() -> None:
    given = Distill(
        student="tiny-cnn",
        data="/my data",
        epochs=3,
        set=("a=1", "b=2"),
        live=True,
        flip="off",
        resume=True,
        runs=Path("r"),
    )
    told = command_line({"command": "distill", "given": as_dict(given)})
    assert told is not None
    words = shlex.split(told)
    assert words[:2] == ["edgekd", "distill"]
    pairs = " ".join(words)
    for each in ("--data /my data", "--epochs 3", "--set a=1 --set b=2", "--live", "--flip off", "--runs r"):
        assert each in pairs
    assert "--student" not in words and "--resume" not in words and "--method" not in words


def test_an_argument_comes_first() -> None:
    told = command_line({"command": "finetune", "given": as_dict(Finetune(model="student", lr=0.01))})
    assert told == "edgekd finetune student --lr 0.01"


def test_what_no_command_made_has_none() -> None:
    assert command_line({"command": "adopt", "given": {}}) is None


def write(place: Path, **facts: object) -> None:
    place.mkdir()
    (place / "manifest.json").write_text(json.dumps({"format": 1, "command": "distill", "given": {}, **facts}))


def test_ancestors_come_oldest_first_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "big", parents={})
    write(tmp_path / "student", parents={"teacher": {"place": "big"}})
    write(tmp_path / "again", parents={"teachers": [{"place": "big"}, {"place": "gone"}], "start": {"run": "student"}})
    found = [(role, str(run.path)) for role, run, _ in ancestors(Run(Path("again")))]
    assert found == [("teacher", "big"), ("start", "student"), ("run", "again")]
