"""`edgekd predict` on folders in which not everything is an image."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from edgekd.runs import Run, file_sum

STUDENT = "tiny-cnn-from-custom-student-pictures"
FILE = f"runs/{STUDENT}-finetuned/model.onnx"


@pytest.fixture
def photos(folder: Path, tmp_path: Path) -> Path:
    """Four images, one cut short, and one that is a text."""
    place = tmp_path / "photos"
    shutil.copytree(folder / "test" / "disc", place)
    (place / "000.png").write_bytes((place / "001.png").read_bytes()[:60])
    (place / "zzz.jpg").write_text("hello")
    return place


@pytest.mark.parametrize("model", [STUDENT, FILE])
def test_broken_images_are_told_and_the_others_answered(cli: Any, at_work: Path, photos: Path, model: str) -> None:
    called = cli("predict", model, photos)
    assert called.code == 3
    assert called.err.count("warning: ") == 2 and "000.png" in called.err and "zzz.jpg" in called.err
    assert [name in called.out for name in ("000.png", "001.png", "002.png", "003.png", "zzz.jpg")] == [
        False, True, True, True, False,
    ]  # fmt: skip
    assert "000.png: cannot be used" in called.err and "(and 1 more of 5 images)" in called.err


def test_skipping_them_ends_well_and_json_names_them(cli: Any, at_work: Path, photos: Path) -> None:
    called = cli("predict", FILE, photos, "--skip-bad-images", "--json")
    assert called.code == 0 and called.err.count("left out: ") == 2
    assert len(called.json["images"]) == 3
    assert [Path(each["image"]).name for each in called.json["skipped"]] == ["000.png", "zzz.jpg"]
    assert cli("predict", FILE, photos, "--json").code == 3


def test_of_many_broken_images_a_few_are_named(cli: Any, at_work: Path, photos: Path) -> None:
    for number in range(15):
        (photos / f"bad{number:02}.png").write_text("x")
    called = cli("predict", FILE, photos)
    assert called.err.count(": left out: ") == 10 and "7 more images were left out" in called.err


def test_nothing_but_broken_images_is_told_too(cli: Any, at_work: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("hello")
    called = cli("predict", FILE, tmp_path / "x.png", "--json")
    assert called.code == 3 and called.json["images"] == [] and "x.png" in called.err


def test_answers_that_are_no_numbers_are_refused(
    cli: Any, copy: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy)
    run = Run(copy / "runs" / STUDENT)
    save_file({name: torch.full_like(value, torch.nan) if value.is_floating_point() else value
               for name, value in load_file(run.weights).items()}, run.weights)  # fmt: skip
    run.update(weights_sha256=file_sum(run.weights))
    called = cli("predict", STUDENT, folder / "test")
    assert called.code == 3 and "no finite numbers" in called.err
