"""`edgekd runs ls|show|compare|rm`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgekd.runs import Run
from edgekd.training.claim import holding

TEACHER = "custom-student-pictures"
STUDENT = f"tiny-cnn-from-{TEACHER}"
FINETUNED = f"{STUDENT}-finetuned"


def test_all_runs_are_listed_with_what_they_came_from_and_how_good_they_are(cli: Any, at_work: Path) -> None:
    found = {each["name"]: each for each in cli("runs", "--json").json["runs"]}
    assert list(found) == [TEACHER, STUDENT, FINETUNED]
    assert [found[name]["from"] for name in found] == [[], [TEACHER], [STUDENT]]
    manifest = json.loads((at_work / "runs" / STUDENT / "manifest.json").read_text())
    for key in ("test_top1", "val_top1", "train_seconds"):
        assert found[STUDENT][key] == manifest["result"][key]
    sizes = [path.stat().st_size for path in (at_work / "runs" / STUDENT).rglob("*") if path.is_file()]
    assert found[STUDENT]["size_bytes"] == sum(sizes) and found[STUDENT]["params"] == manifest["params"]
    assert set(found[FINETUNED]["exports"]) >= {"model.onnx"}


def test_the_list_is_a_table(cli: Any, at_work: Path) -> None:
    out = cli("runs").out
    assert STUDENT in out and "finished" in out and "3 runs in runs" in out


def test_no_runs_are_no_error(cli: Any) -> None:
    assert cli("runs", "--json").json == {"runs": []}


def test_a_damaged_run_is_listed_as_such_and_removed(cli: Any, copy: Path) -> None:
    (copy / "runs" / STUDENT / "manifest.json").write_text('{"result": {"test_top1": "good"}}')
    states = {each["name"]: each["state"] for each in cli("runs", "--json").json["runs"]}
    assert states[STUDENT] == "damaged: result.test_top1 is 'good', not a number" and states[TEACHER] == "finished"
    assert cli("runs", "show", STUDENT).code == 3
    assert cli("runs", "rm", STUDENT).code == 0 and not (copy / "runs" / STUDENT).exists()


def test_one_is_shown_with_its_epochs_and_options(cli: Any, at_work: Path) -> None:
    found = cli("runs", "show", STUDENT, "--json").json
    assert found["epochs_recorded"] == len(found["epochs"]) == 2 and found["options"]["student"] == "tiny-cnn"
    out = cli("runs", "show", f"runs/{STUDENT}").out
    assert f"from                     {TEACHER}" in out and "epochs recorded          2" in out


def test_what_differs_is_compared(cli: Any, at_work: Path) -> None:
    found = cli("runs", "compare", TEACHER, STUDENT, "--json").json
    assert [each["name"] for each in found["runs"]] == [TEACHER, STUDENT]
    assert found["options_that_differ"]["lr"] == [0.01, 0.2] and "epochs" not in found["options_that_differ"]
    out = cli("runs", "compare").out
    assert all(name in out for name in (TEACHER, STUDENT, FINETUNED)) and "optimizer" in out


def test_removed_runs_are_gone_and_their_bytes_told(cli: Any, copy: Path) -> None:
    sizes = sum(path.stat().st_size for path in (copy / "runs" / STUDENT).rglob("*") if path.is_file())
    called = cli("runs", "rm", STUDENT, "--json")
    assert called.json == {"removed": [f"runs/{STUDENT}"], "freed_bytes": sizes}
    assert not (copy / "runs" / STUDENT).exists() and (copy / "runs" / TEACHER).exists()


def test_a_folder_with_anything_else_is_left_alone(cli: Any, copy: Path) -> None:
    (copy / "runs" / STUDENT / "thesis.tex").write_text("years of work")
    called = cli("runs", "rm", TEACHER, STUDENT)
    assert called.code == 3 and "thesis.tex" in called.err
    assert (copy / "runs" / STUDENT).exists() and (copy / "runs" / TEACHER).exists()


def test_a_run_in_training_is_left_alone(cli: Any, copy: Path) -> None:
    with holding(Run(copy / "runs" / STUDENT)):
        assert cli("runs", "rm", STUDENT).code == 2
    assert (copy / "runs" / STUDENT).exists()


@pytest.mark.parametrize("arguments", [["show"], ["rm"], ["compare"], ["compare", TEACHER], ["show", TEACHER, STUDENT]])
def test_wrong_numbers_of_names_are_usage_errors(cli: Any, arguments: list[str], request: Any) -> None:
    if arguments != ["compare"]:
        request.getfixturevalue("at_work")
    assert cli("runs", *arguments).code == 2


def test_an_unknown_name_gets_the_nearest(cli: Any, at_work: Path) -> None:
    called = cli("runs", "show", "custom-students-pictures")
    assert called.code == 3 and f"nearest: {TEACHER}" in called.err


LIGHT = [
    ("runs", "ls"),
    ("runs", "show", STUDENT),
    ("runs", "compare"),
    ("cache", "ls"),
    ("cache", "status", TEACHER),
    ("cache", "rm", "none"),
    ("models",),
    ("devices",),
    ("distill", "--alpha", "9"),
    ("distill", "--method", "none", "--config", "none.toml"),
    ("train-teacher", "--epochs", "x"),
]


def test_what_only_reads_files_loads_nothing_heavy(workplace: Path) -> None:
    code = f"""
import contextlib, io, sys
from edgekd.cli.app import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    codes = [main(list(each)) for each in {LIGHT!r}]
print(codes, sorted({{"torch", "torchvision", "timm", "onnx", "onnxruntime", "safetensors"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=workplace, env=os.environ, capture_output=True, text=True)
    assert done.stdout.strip() == "[0, 0, 0, 0, 0, 3, 0, 0, 2, 3, 2] []", done.stderr
