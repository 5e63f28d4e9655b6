"""Bad input: the exit code of the design, two helpful lines, no traceback, no half-made folder."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

TRAIN = ("train-teacher", "--model", "custom-student", "--epochs", 1)


def refused(called: Any, code: int, *words: str) -> None:
    """Exactly two lines on stderr after the notes, with these words, and nothing on stdout."""
    told = called.err[called.err.index("error: ") :].splitlines()
    assert called.code == code and called.out == "", called
    assert len(told) == 2 and told[1].startswith("  try: "), told
    assert "Traceback" not in called.err and all(word in " ".join(told) for word in words), told


def test_an_unknown_model_gets_the_nearest_names(cli: Any, folder: Path, tmp_path: Path) -> None:
    refused(cli("train-teacher", "--model", "resnet19", "--data", folder), 2, "resnet19", "resnet18")
    assert not (tmp_path / "runs").exists()


def empty(place: Path) -> None:
    shutil.rmtree(place)
    place.mkdir()


def one_class(place: Path) -> None:
    for split in ("train", "test"):
        shutil.rmtree(place / split / "disc")
        shutil.rmtree(place / split / "frame")


def other_test_classes(place: Path) -> None:
    (place / "test" / "disc").rename(place / "test" / "disk")


def corrupt(place: Path) -> None:
    (place / "train" / "disc" / "004.png").write_bytes(b"not an image")


def cut(place: Path) -> None:
    path = place / "train" / "disc" / "004.png"
    path.write_bytes(path.read_bytes()[:80])


def bomb(place: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(place / "train" / "disc" / "004.png")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (empty, ["pictures"]),
        (one_class, ["stripes"]),
        (other_test_classes, ["disk"]),
        (corrupt, ["004.png", "--skip-bad-images"]),
        (cut, ["004.png"]),
        (bomb, ["004.png", "bomb"]),
        (shutil.rmtree, ["pictures"]),
    ],
)
def test_bad_data_is_named(
    cli: Any, own_folder: Path, tmp_path: Path, spoil: Callable[[Path], None], words: list[str]
) -> None:
    spoil(own_folder)
    refused(cli(*TRAIN, "--data", own_folder), 3, *words)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("spoil", [corrupt, cut, bomb])
def test_bad_images_can_be_skipped(cli: Any, own_folder: Path, quick: Any, spoil: Callable[[Path], None]) -> None:
    spoil(own_folder)
    called = cli("train-teacher", "--model", "tiny-cnn", *quick, "--data", own_folder, "--skip-bad-images", "--json")
    assert called.code == 0 and "004.png" in called.err, called.err


def test_an_existing_run_is_not_overwritten(cli: Any, at_work: Path, folder: Path) -> None:
    before = (at_work / "runs" / "custom-student-pictures" / "manifest.json").read_bytes()
    refused(cli(*TRAIN, "--data", folder, "--name", "custom-student-pictures"), 2, "--overwrite")
    assert (at_work / "runs" / "custom-student-pictures" / "manifest.json").read_bytes() == before


def test_a_teacher_of_other_classes_is_refused(cli: Any, at_work: Path, own_folder: Path) -> None:
    for split in ("train", "test"):
        shutil.rmtree(own_folder / split / "disc")
    called = cli("distill", "--teacher", "custom-student-pictures", "--data", own_folder, "--name", "no")
    refused(called, 3, "3 classes", "2")
    assert not (at_work / "runs" / "no").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_a_text_file_is_no_checkpoint(cli: Any, folder: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_text("these are not weights, but they are long enough to look like something")
    refused(cli(*TRAIN, "--data", folder, "--weights", path), 3, path.name)
    refused(cli("distill", "--teacher", "vit_tiny", "--teacher-weights", path, "--data", folder), 3, path.name)


def test_half_an_onnx_file_is_refused(cli: Any, at_work: Path, tmp_path: Path) -> None:
    whole = next((at_work / "runs").glob("*/model.onnx")).read_bytes()
    (tmp_path / "half.onnx").write_bytes(whole[: len(whole) // 2])
    refused(cli("profile", tmp_path / "half.onnx"), 3, "half.onnx")
    refused(cli("predict", tmp_path / "half.onnx", "x.png"), 3, "half.onnx")


def test_pretrained_weights_without_a_network_name_both_ways_on(cli: Any, folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    called = cli("distill", "--teacher", "vit_base", "--student", "tiny-cnn", "--data", folder)
    refused(called, 4, "train-teacher --model vit_base", "--teacher-weights")


def test_a_config_file_with_a_typo_is_refused(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("epoch = 3\n")
    refused(cli("distill", "--config", tmp_path / "run.toml"), 3, "epoch", "epochs")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["distill", "--temprature", "3"], "temperature"),
        (["distill", "--alpha", "2"], "alpha"),
        (["train-teacher", "--epochs", "many"], "epochs"),
        (["distill", "--method", "magic"], "kd"),
        (["destill"], "distill"),
        (["train-teacher", "--optimizer", "adam"], "adamw"),
    ],
)
def test_a_usage_error_helps(cli: Any, arguments: list[str], word: str) -> None:
    refused(cli(*arguments), 2, word)


def test_a_failure_is_told_as_json_too(cli: Any) -> None:
    called = cli("evaluate", "nothing", "--json")
    assert called.code == 3 and called.json["error"]["exit_code"] == 3


def test_no_teacher_yet_is_told(cli: Any) -> None:
    refused(cli("distill"), 3, "train-teacher")


def test_an_image_that_is_none_is_named(cli: Any, at_work: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("hello")
    refused(cli("predict", "custom-student-pictures", tmp_path / "x.png"), 3, "x.png")
    refused(cli("predict", "custom-student-pictures", tmp_path / "none.png"), 3, "none.png")


def test_grey_images_for_a_colour_network_are_fine(cli: Any, at_work: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((40, 30), np.uint8)).save(tmp_path / "x.png")
    assert cli("predict", "custom-student-pictures", tmp_path / "x.png").code == 0
