"""What `distill` says of a teacher that teaches badly, before the training and at its end."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

TEACHER = "custom-student-pictures"


@pytest.fixture
def patterns(tmp_path: Path) -> dict[str, Path]:
    """Two folders of the same classes; in `other` each class looks like the next one in `own`."""
    rng, found = np.random.default_rng(0), {}
    levels = {"dark": 40, "grey": 120, "light": 210}
    for name, turned in (("own", 0), ("other", 1)):
        values = list(levels.values())
        for split, count in (("train", 40), ("test", 10)):
            for place, kind in enumerate(levels):
                folder = tmp_path / name / split / kind
                folder.mkdir(parents=True)
                for number in range(count):
                    noise = rng.integers(-20, 20, (8, 8, 3))
                    picture = np.clip(values[(place + turned) % 3] + noise, 0, 255).astype(np.uint8)
                    Image.fromarray(picture).save(folder / f"{number:02d}.png")
        found[name] = tmp_path / name
    return found


FIT = ("--threads", 1, "--precision", "fp32", "--memory-format", "channels-last", "--batch-size", 12)


def teach(cli: Any, data: Path, *options: object) -> dict[str, Any]:
    model = ("--model", "custom-student", "--lr", 0.02, "--name", "t", "--json")
    called = cli("train-teacher", "--data", data, *model, *FIT, *options)
    assert called.code == 0, called.err
    return called.json


def distil(cli: Any, *options: object) -> Any:  # noqa: ANN401
    called = cli("distill", "--teacher", "t", "--epochs", 1, "--views", 1, *FIT, "--json", *options)
    assert called.code == 0, called.err
    return called


def test_a_good_teacher_is_not_warned_of(cli: Any, patterns: dict[str, Path]) -> None:
    taught = teach(cli, patterns["own"], "--epochs", 10)
    assert taught["test_top1"] > 0.9
    called = distil(cli)
    quality = called.json["teacher_quality"]
    assert quality["warnings"] == [] and "teacher t:" not in called.err
    assert quality["teachers"][0]["test_top1"] == taught["test_top1"]
    assert quality["train_top1"] > 0.9 and quality["train_images"] == 108


def test_a_smoothed_teacher_is_named_and_its_calibration_measured(cli: Any, patterns: dict[str, Path]) -> None:
    taught = teach(cli, patterns["own"], "--epochs", 16, "--label-smoothing", 0.6, "--val-fraction", 0.5)
    # it answers the right class with about 0.6
    assert taught["val_calibration_error"] > 0.2 and taught["val_temperature"] < 0.7 and taught["val_images"] == 60
    called = distil(cli, "--quiet")
    assert "teacher t: was trained with label smoothing 0.6" in called.err
    assert "teacher t: is badly calibrated, less sure than right by" in called.err


def test_a_teacher_of_one_epoch_is_named(cli: Any, patterns: dict[str, Path]) -> None:
    teach(cli, patterns["own"], "--epochs", 1)
    called = distil(cli)
    assert "teacher t: was trained for 1 epoch only" in called.err
    told = json.loads(Path("runs", called.json["run"].split("/")[-1], "manifest.json").read_text())
    assert told["teacher_quality"] == called.json["teacher_quality"]


@pytest.mark.parametrize("how", [(), ("--live",)])
def test_a_teacher_of_other_images_is_named(cli: Any, patterns: dict[str, Path], how: tuple[str, ...]) -> None:
    assert teach(cli, patterns["other"], "--epochs", 10)["val_top1"] > 0.9
    called = distil(cli, "--data", patterns["own"], *how)
    assert "so it was trained on images of another kind" in called.err
    assert called.json["teacher_quality"]["train_top1"] < 0.4
    # its test images are others, so its own accuracy there says nothing here
    assert "test_top1" not in called.json["teacher_quality"]["teachers"][0]


def test_a_teacher_no_better_than_the_student_alone_is_named(cli: Any, patterns: dict[str, Path]) -> None:
    teach(cli, patterns["own"], "--epochs", 1, "--lr", 0)
    alone = ("--model", "tiny-cnn", "--name", "alone", "--epochs", 8)
    assert cli("train-teacher", "--data", patterns["own"], *alone, *FIT).code == 0
    called = distil(cli, "--lr", 0)
    assert "is not better than tiny-cnn alone" in called.err and "(runs/alone)" in called.err
    assert "distilled, tiny-cnn is not better than alone" in called.err
    assert called.json["alone"]["run"] == "runs/alone" and called.json["alone"]["steps"] == 72


BAD = {
    "weak": ((("own", ("--lr", 1e-6)),), "t0"),
    "wrong in one class": ((("swapped", ()),), "t0"),
    "three at odds": ((("own", ("--lr", 1e-6)), ("other", ()), ("swapped", ())), "t0,t1,t2"),
}
"""Teachers by what they learnt from and with which options, and as they are named."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", BAD)
def test_a_student_that_bad_teachers_spoil_is_told_at_the_end(
    cli: Any, patterns: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    patterns["swapped"] = tmp_path / "swapped"
    shutil.copytree(patterns["own"], patterns["swapped"])
    shutil.rmtree(patterns["swapped"] / "train" / "light")
    shutil.copytree(patterns["swapped"] / "train" / "dark", patterns["swapped"] / "train" / "light")
    teachers, named = BAD[kind]
    for number, (data, options) in enumerate(teachers):
        teach(cli, patterns[data], "--epochs", 6, *options, "--name", f"t{number}")
    fit = ("--data", patterns["own"], "--epochs", 8, "--lr", 0.05, *FIT, "--flip", "off")
    alone = cli("train-teacher", "--model", "tiny-cnn", "--name", "alone", *fit, "--json")
    assert alone.code == 0 and alone.json["test_top1"] > 0.9, alone.err
    called = cli("distill", "--teacher", named, "--live", "--student", "tiny-cnn", "--alpha", 1, *fit, "--json")
    assert called.code == 0, called.err
    is_spoilt = called.json["test_top1"] <= alone.json["test_top1"]
    assert is_spoilt == ("distilled, tiny-cnn is not better than alone" in called.err)
    assert called.json["test_top1"] < alone.json["test_top1"] and called.json["alone"]["run"] == "runs/alone"


def test_the_table_shows_teacher_and_student_alone(cli: Any, copy: Path, folder: Path, quick: Any) -> None:
    assert cli("train-teacher", "--model", "tiny-cnn", "--data", folder, "--name", "alone", *quick).code == 0
    called = cli("distill", "--teacher", TEACHER, "--name", "x", *quick)
    assert called.code == 0, called.err
    assert "teacher's test accuracy" in called.out and TEACHER in called.out
    assert "alone, test accuracy" in called.out and "runs/alone" in called.out
    # the same from a finished run
    assert cli("distill", "--teacher", TEACHER, "--name", "x", *quick, "--resume").out == called.out


def test_without_a_run_alone_there_is_none(cli: Any, copy: Path, quick: Any) -> None:
    called = cli("distill", "--teacher", TEACHER, "--name", "x", *quick, "--json")
    assert called.json["alone"] is None and "not better than alone" not in called.err


def test_a_teacher_whose_run_is_gone_is_judged_by_its_cache(cli: Any, copy: Path, quick: Any) -> None:
    (copy / "runs" / TEACHER / "manifest.json").unlink()
    called = cli("distill", "--cache", TEACHER, "--name", "x", *quick)
    assert called.code == 0, called.err
    assert "of 33 training images" in called.out
