"""A .tflite file is described, opened and run; what is damaged or missing is said."""

import sys
from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import CheckpointError, MissingDependency
from edgekd.runtimes.attachment import attach
from edgekd.runtimes.runtime import run
from edgekd.runtimes.suffixes import describe, open_model
from tests.profiling.conftest import RECORD
from tests.runtimes.tflite_models import build, expected


@pytest.mark.parametrize("batch", [-1, 1, 3])
def test_logits_are_those_of_numpy_for_any_number_of_images(tmp_path: Path, batch: int) -> None:
    path = build(tmp_path / "small.tflite", batch)
    images = np.random.default_rng(0).standard_normal((7, 8, 8, 3)).astype(np.float32)
    found = run(open_model(path, 1), images, path)
    np.testing.assert_allclose(found, expected(images), rtol=1e-4, atol=1e-4)


def test_a_session_takes_batches_of_changing_size(tmp_path: Path) -> None:
    path = build(tmp_path / "small.tflite")
    session = open_model(path, 1)
    images = np.random.default_rng(0).standard_normal((9, 8, 8, 3)).astype(np.float32)
    for size in (1, 9, 2):
        np.testing.assert_allclose(run(session, images[:size], path), expected(images[:size]), rtol=1e-4, atol=1e-4)


def test_facts_are_read_without_the_runtime(tmp_path: Path) -> None:
    path = build(tmp_path / "small.tflite")
    found = describe(path)
    # 6 x 3 x 3 x 3 + 6, 4 x 6 + 4; the axes are no weights
    assert (found.weights, found.precision, found.runtime, found.record) == (162 + 6 + 24 + 4, "fp32", "litert", None)
    assert found.operators == {"CONV_2D": 1, "MEAN": 1, "FULLY_CONNECTED": 1}


def test_a_record_travels_in_the_file_and_does_not_disturb_it(tmp_path: Path) -> None:
    path = build(tmp_path / "small.tflite")
    attach(path, RECORD)
    assert describe(path).record == RECORD
    images = np.ones((1, 8, 8, 3), np.float32)
    np.testing.assert_allclose(run(open_model(path, 1), images, path), expected(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.995])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    path = build(tmp_path / "small.tflite")
    attach(path, RECORD)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match="cut short|cannot load it"):
        describe(path)
        open_model(path, 1)


def test_another_format_under_this_suffix_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fake.tflite"
    path.write_bytes(b"\x08\x07" + b"onnx" * 50)
    with pytest.raises(CheckpointError, match="not a LiteRT model"):
        describe(path)


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = build(tmp_path / "small.tflite")
    for name in [each for each in sys.modules if each.startswith("ai_edge_litert")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(MissingDependency) as caught:
        open_model(path, 1)
    assert "ai_edge_litert" in caught.value.problem and "edgekd[litert]" in caught.value.hint
