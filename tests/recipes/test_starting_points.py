"""What a command starts from when nothing is named, what its run is called, and what leftovers of a trial do to it."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from edgekd.cache.store import open_cache
from edgekd.runs import Run, file_sum

TEACHER = "custom-student-pictures"
STUDENT = f"tiny-cnn-from-{TEACHER}"


def teacher_of(called: Any) -> str:
    assert called.code == 0, called.err
    return str(called.json["parents"]["teacher"]["name"])


def score(run: Run, top1: float) -> None:
    run.update(result=run.manifest()["result"] | {"val_top1": top1})


def test_the_students_own_model_is_no_default_teacher(cli: Any, copy: Path, folder: Path, quick: Any) -> None:
    assert cli("train-teacher", "--model", "tiny-cnn", "--data", folder, *quick).code == 0
    score(Run(copy / "runs" / "tiny-cnn-pictures"), 1.0)
    assert teacher_of(cli("distill", *quick, "--json")) == TEACHER
    assert teacher_of(cli("distill", *quick, "--teacher", "tiny-cnn-pictures", "--json")) == "tiny-cnn-pictures"
    called = cli("distill", "--student", "custom-student", *quick, "--json")
    assert teacher_of(called) == "tiny-cnn-pictures"


def test_only_the_students_own_model_is_told(cli: Any, folder: Path, quick: Any) -> None:
    assert cli("train-teacher", "--model", "tiny-cnn", "--data", folder, *quick).code == 0
    called = cli("distill", *quick)
    assert called.code == 3 and "tiny-cnn-pictures, which is the student's own model" in called.err
    assert "--teacher tiny-cnn-pictures" in called.err


def test_of_several_teachers_the_best_is_taken_and_told(cli: Any, copy: Path, folder: Path, quick: Any) -> None:
    assert cli("train-teacher", "--model", "custom-student", "--data", folder, *quick, "--name", "other").code == 0
    for name, top1 in ((TEACHER, 0.5), ("other", 0.75)):
        score(Run(copy / "runs" / name), top1)
    words = "teacher: runs/other, the most accurate by validation (75.00%) of 2 on this data"
    for options in ((), ("--teacher", "custom-student")):
        called = cli("cache-logits", "--views", 1, "--threads", 1, *options)
        assert called.code == 0 and words in called.err, called.err
    called = cli("cache-logits", "--views", 1, "--threads", 1, "--teacher", TEACHER)
    assert "most accurate" not in called.err and f"teacher: runs/{TEACHER}" in called.err


def test_students_of_two_teachers_have_two_names(cli: Any, copy: Path, folder: Path, quick: Any) -> None:
    for name in ("a", "b"):
        assert cli("train-teacher", "--model", "custom-student", "--data", folder, *quick, "--name", name).code == 0
        called = cli("distill", "--teacher", name, "--live", *quick, "--json")
        assert called.code == 0 and called.json["run"] == f"runs/tiny-cnn-from-{name}-pictures", called.err


def test_finished_runs_are_followed_by_numbers(cli: Any, copy: Path, folder: Path, quick: Any) -> None:
    distill, train = ("distill", *quick, "--json"), ("train-teacher", "--model", "custom-student", "--data", folder)
    for number in (2, 3):
        called = cli(*distill)
        assert called.code == 0 and called.json["run"] == f"runs/{STUDENT}-{number}", called.err
        assert f"runs/{STUDENT}-{number}, for " in called.err and f"--overwrite replaces {STUDENT}" in called.err
    assert cli(*distill, "--overwrite").json["run"] == f"runs/{STUDENT}"
    assert cli(*train, *quick, "--json").json["run"] == f"runs/{TEACHER}-2"
    assert cli("finetune", STUDENT, *quick, "--json").json["run"] == f"runs/{STUDENT}-finetuned-2"
    called = cli(*distill, "--name", STUDENT)
    assert called.code == 2 and "exists already" in called.err


def test_a_run_that_is_not_finished_is_no_occasion_for_another(cli: Any, copy: Path, quick: Any) -> None:
    assert cli("distill", *quick).code == 0
    Run(copy / "runs" / f"{STUDENT}-2").update(status="interrupted")
    called = cli("distill", *quick)
    assert called.code == 2 and "not finished" in called.err and "--resume goes on" in called.err
    called = cli("distill", "--resume", *quick, "--json")
    assert called.code == 0 and called.json["run"] == f"runs/{STUDENT}-2", called.err
    assert cli("distill", "--resume", *quick, "--json").json["run"] == f"runs/{STUDENT}-2"


def test_a_cache_of_fewer_views_is_completed(cli: Any, copy: Path, quick: Any) -> None:
    called = cli("cache-logits", "--name", "trial", "--views", 1, "--threads", 1)
    assert called.code == 0
    called = cli("distill", *quick, "--epochs", 3, "--views", 1, "--name", "as-it-is", "--json")
    assert called.code == 0 and "added" not in called.err and open_cache(copy / "cache" / "trial").views == 1
    called = cli("distill", "--dry-run", *quick, "--epochs", 3, "--json")
    assert called.code == 0 and called.json["cache"]["views"] == 3, called.err
    called = cli("distill", *quick, "--epochs", 3, "--name", "whole", "--json")
    assert called.code == 0 and "has 1 view, so 2 more are added; --views 1 takes it as it is" in called.err, called.err
    assert open_cache(copy / "cache" / "trial").views == 3
    assert json.loads((copy / "runs" / "whole" / "manifest.json").read_text())["config"]["views"] == 3


def test_fewer_views_than_usual_are_told_where_a_cache_is_made_for_itself(cli: Any, copy: Path) -> None:
    called = cli("cache-logits")
    assert called.code == 0 and "has 2 views, a new one would have 24; --views 24 adds them" in called.err, called.err


@pytest.mark.parametrize("command", [("distill",), ("distill", "--dry-run"), ("distill", "--live"), ("finetune", "t")])
def test_an_inherited_limit_is_told(cli: Any, folder: Path, quick: Any, command: tuple[str, ...]) -> None:
    train = ("train-teacher", "--model", "custom-student", "--data", folder, "--limit", 18, "--name", "t")
    assert cli(*train, *quick).code == 0
    called = cli(*command, *quick, "--name", "x")
    assert called.code == 0, called.err
    assert called.err.count("data: --limit 18, as runs/t was made; --limit 1000000000 takes all images") == 1
    called = cli(*command, *quick, "--name", "y", "--limit", 1_000_000_000, "--json")
    assert called.code == 0 and "data: --limit" not in called.err, called.err
    if "--dry-run" not in command:
        assert json.loads(Path("runs/y/manifest.json").read_text())["data"]["images"] == 36


def test_a_training_that_diverges_at_once_leaves_its_name_free(cli: Any, folder: Path, quick: Any) -> None:
    train = ("train-teacher", "--model", "tiny-cnn", "--data", folder, *quick)
    called = cli(*train, "--optimizer", "sgd", "--lr", 1e12)
    assert called.code == 3 and "diverged" in called.err, called.err
    assert not list(Path("runs").iterdir())
    assert cli(*train).code == 0


def test_a_start_of_no_numbers_leaves_no_run(cli: Any, copy: Path, quick: Any) -> None:
    run = Run(copy / "runs" / TEACHER)
    state = load_file(run.weights)
    save_file(
        {name: value * float("nan") if value.is_floating_point() else value for name, value in state.items()},
        run.weights,
    )
    run.update(weights_sha256=file_sum(run.weights))
    called = cli("finetune", TEACHER, *quick, "--name", "x")
    assert called.code == 3 and "nan before anything is trained" in called.err, called.err
    assert not (copy / "runs" / "x").exists()
