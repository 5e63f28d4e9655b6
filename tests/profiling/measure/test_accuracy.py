"""Parity and accuracy of a real model on real files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.errors import CheckpointError, DataError
from edgekd.profiling.measure.accuracy import check_parity, list_images, measure_accuracy
from edgekd.runtimes.onnx_file import read_model
from edgekd.runtimes.preprocessing import prepare
from edgekd.runtimes.suffixes import open_model

CLASSES = ["cat", "dog", "eel", "fox"]


@pytest.fixture
def images(tmp_path: Path, exported: Path) -> Path:
    """Ten images, each in the folder of the class the model gives it, two of them moved to a wrong one."""
    random, session = np.random.default_rng(0), open_model(exported, 1)
    for index in range(10):
        canvas = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        logits = session.compute({"input": prepare(canvas[None], 8, [0.5] * 3, [0.25] * 3)})[0]
        name = CLASSES[(int(logits.argmax()) + (index < 2)) % 4]
        (tmp_path / "images" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(canvas).save(tmp_path / "images" / name / f"{index}.png")
    return tmp_path / "images"


def test_accuracy_is_the_share_in_the_right_folder(exported: Path, images: Path) -> None:
    record = read_model(exported).record
    assert record is not None
    found = measure_accuracy(open_model(exported, 1), record, images)
    assert (found["images"], found["top1"], found["top5"]) == (10, 0.8, 1.0)


def test_the_sample_agrees_where_it_was_made(exported: Path) -> None:
    found = check_parity(open_model(exported, 1), exported.with_name("sample.npz"))
    assert found["samples"] == 6
    assert found["largest_difference"] < 1e-6
    assert found["same_top1"] == 1.0


def test_a_difference_is_measured(exported: Path) -> None:
    sample = exported.with_name("sample.npz")
    arrays = dict(np.load(sample))
    arrays["logits"][2, 1] += 0.25
    np.savez(sample, **arrays)
    assert check_parity(open_model(exported, 1), sample)["largest_difference"] == pytest.approx(0.25, abs=1e-5)


def test_a_sample_of_another_model_is_refused(exported: Path) -> None:
    sample = exported.with_name("sample.npz")
    arrays = dict(np.load(sample))
    np.savez(sample, **arrays | {"logits": arrays["logits"][:, :3]})
    with pytest.raises(CheckpointError, match=r"its logits are \[6, 3\]"):
        check_parity(open_model(exported, 1), sample)


@pytest.mark.parametrize("shape", [(6, 3, 16, 16), (6, 5)])
def test_a_sample_that_does_not_fit_is_refused(exported: Path, shape: tuple[int, ...]) -> None:
    sample = exported.with_name("sample.npz")
    np.savez(sample, **dict(np.load(sample)) | {"inputs": np.ones(shape, np.float32)})
    with pytest.raises(CheckpointError, match=r"sample\.npz: the model does not run on these \[6, "):
        check_parity(open_model(exported, 1), sample)


def test_answers_that_are_no_numbers_are_refused(exported: Path) -> None:
    sample = exported.with_name("sample.npz")
    np.savez(sample, **dict(np.load(sample)) | {"inputs": np.full((6, 3, 8, 8), 3e38, np.float32)})
    with pytest.raises(CheckpointError, match="values that are no numbers"):
        check_parity(open_model(exported, 1), sample)


def test_an_unknown_class_folder_gets_the_nearest_name(images: Path) -> None:
    (images / "dogs").mkdir()
    with pytest.raises(DataError) as caught:
        list_images(images, CLASSES)
    assert "dogs" in caught.value.problem
    assert "dog" in caught.value.hint


def test_a_test_folder_inside_is_taken(tmp_path: Path, images: Path) -> None:
    (tmp_path / "data").mkdir()
    images.rename(tmp_path / "data" / "test")
    assert len(list_images(tmp_path / "data", CLASSES)) == 10


def test_hidden_files_and_folders_are_passed_over(images: Path) -> None:
    (images / ".ipynb_checkpoints").mkdir()
    (next(each for each in images.iterdir() if each.name in CLASSES) / "._x.png").write_bytes(b"no image")
    assert len(list_images(images, CLASSES)) == 10


def test_a_corrupt_image_is_named(exported: Path, images: Path) -> None:
    (images / "cat").mkdir(exist_ok=True)
    (images / "cat" / "bad.png").write_bytes(b"no image")
    record = read_model(exported).record
    assert record is not None
    with pytest.raises(DataError, match=r"bad\.png"):
        measure_accuracy(open_model(exported, 1), record, images)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images"):
        list_images(tmp_path, CLASSES)
