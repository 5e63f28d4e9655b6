"""Files for other runtimes that compute something else are rejected, in each runtime."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgekd.config import Export
from edgekd.exporting import deployments
from edgekd.exporting.deployments import Original, Tools, write_deployments
from edgekd.exporting.mnn import to_mnn
from edgekd.exporting.parity import answers
from edgekd.images.imageset import Split
from edgekd.report import Silent
from tests.runtimes import tflite_models

FAST = Export(duration=0.02, threads=1)


def original_of(path: Path, logits: np.ndarray, inputs: np.ndarray) -> Original:
    labels = logits.argmax(1).astype(np.int64)
    split = Split.__new__(Split)  # no record, so no image of it is looked at
    return Original(path, None, inputs, labels, logits, None, split)


def scaled(model: onnx.ModelProto) -> None:
    first = model.graph.initializer[0]
    first.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(first) * np.float32(1.05), first.name))


def spoiled(model: onnx.ModelProto) -> None:
    first = model.graph.initializer[0]
    values = numpy_helper.to_array(first).copy()
    values.flat[0] = np.nan
    first.CopyFrom(numpy_helper.from_array(values, first.name))


@pytest.mark.parametrize("change", [scaled, spoiled])
def test_an_mnn_file_of_changed_weights_is_rejected(
    built: Path, tmp_path: Path, change: Callable[[onnx.ModelProto], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("MNN", reason="needs edgekd[mnn]")
    path = tmp_path / "m.onnx"
    path.write_bytes(built.read_bytes())
    inputs = np.random.default_rng(0).standard_normal((12, 3, 8, 8)).astype(np.float32)
    model = onnx.load(built)
    change(model)
    onnx.save(model, tmp_path / "wrong.onnx")
    monkeypatch.setattr(deployments, "to_mnn", lambda _, target: to_mnn(tmp_path / "wrong.onnx", target))
    found = write_deployments(original_of(path, answers(path, inputs), inputs), Tools({".mnn": None}), FAST, Silent())
    assert found.failure is not None and found.failure.exit_code == 5
    assert (tmp_path / "m.mnn.rejected").is_file() and not (tmp_path / "m.mnn").exists()
    assert not (tmp_path / "m.mnn.sample.npz").exists()


@pytest.mark.parametrize("how", [{"spoiled": True}, {}])
def test_a_tflite_file_that_answers_otherwise_is_rejected(
    built: Path, tmp_path: Path, how: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(built.read_bytes())
    images = np.random.default_rng(0).standard_normal((12, 8, 8, 3)).astype(np.float32)
    # the sound file is compared with logits of other weights, the spoiled one with its own
    logits = tflite_models.expected(images).astype(np.float32) * (1 if how else 1.01)
    original = original_of(path, logits, images)
    object.__setattr__(original, "run", object())
    monkeypatch.setattr(deployments, "to_tflite", lambda _run, target, *_: tflite_models.build(target, **how))
    found = write_deployments(original, Tools({".tflite": Path("python")}), FAST, Silent())
    assert found.failure is not None and found.failure.exit_code == 5
    assert (tmp_path / "m.tflite.rejected").is_file() and not (tmp_path / "m.tflite").exists()


def test_a_sound_mnn_file_is_kept(built: Path, tmp_path: Path) -> None:
    pytest.importorskip("MNN", reason="needs edgekd[mnn]")
    path = tmp_path / "m.onnx"
    path.write_bytes(built.read_bytes())
    inputs = np.random.default_rng(0).standard_normal((12, 3, 8, 8)).astype(np.float32)
    found = write_deployments(original_of(path, answers(path, inputs), inputs), Tools({".mnn": None}), FAST, Silent())
    assert found.failure is None and found.data["recommended"] in ("onnx", "mnn")
    assert (tmp_path / "m.mnn").is_file() and (tmp_path / "m.mnn.sample.npz").is_file()
