"""Inputs: real where they fit, made up otherwise, refused in words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgekd.errors import CheckpointError
from edgekd.runtimes.onnx_runtime import OnnxSession
from edgekd.runtimes.sample_inputs import POOL_BYTES, make_feeds, read_sample
from edgekd.runtimes.suffixes import open_model

Maker = Callable[..., Path]


@pytest.mark.parametrize(
    ("shape", "batch", "expected"),
    [
        (["n", 3, "height", "width"], 2, (2, 3, 224, 224)),
        (["n", None, None, 3], 1, (1, 224, 224, 3)),
        (["n", 16, 16, 3], 4, (4, 16, 16, 3)),
        ([1, 3, 8, 8], 1, (1, 3, 8, 8)),
        (["n", "length"], 3, (3, 16)),
    ],
)
def test_open_sizes_become_usual_ones(foreign: Maker, shape: list[int | str], batch: int, expected: object) -> None:
    session = open_model(foreign(("image", TensorProto.FLOAT, shape)), 1)
    feeds, source = make_feeds(session, batch, None, "m.onnx")
    assert feeds[0]["image"].shape == expected
    assert source == "made-up values"
    session.compute(feeds[0])


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (TensorProto.UINT8, np.uint8),
        (TensorProto.INT8, np.int8),
        (TensorProto.FLOAT16, np.float16),
        (TensorProto.DOUBLE, np.float64),
        (TensorProto.INT64, np.int64),
        (TensorProto.BOOL, np.bool_),
    ],
)
def test_any_kind_of_number_is_made_up(foreign: Maker, kind: int, dtype: type) -> None:
    session = open_model(foreign(("x", kind, ["n", 4])), 1)
    feeds, _ = make_feeds(session, 2, None, "m.onnx")
    assert feeds[0]["x"].dtype == dtype
    session.compute(feeds[0])


def test_several_inputs_are_all_fed(foreign: Maker) -> None:
    path = foreign(("image", TensorProto.FLOAT, ["n", 3, 8, 8]), ("ids", TensorProto.INT64, ["n", 5]))
    session = open_model(path, 1)
    feeds, _ = make_feeds(session, 2, None, "m.onnx")
    assert {name: value.shape for name, value in feeds[0].items()} == {"image": (2, 3, 8, 8), "ids": (2, 5)}
    session.compute(feeds[0])


def test_a_fixed_batch_is_kept_to(foreign: Maker) -> None:
    session = open_model(foreign(("x", TensorProto.FLOAT, [1, 4])), 1)
    with pytest.raises(CheckpointError, match="its batch is fixed at 1, not 8"):
        make_feeds(session, 8, None, "m.onnx")


def test_texts_cannot_be_made_up(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("words", TensorProto.STRING, ["n"])
    out = helper.make_tensor_value_info("y", TensorProto.STRING, ["n"])
    graph = helper.make_graph([helper.make_node("Identity", ["words"], ["y"])], "g", [value], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(CheckpointError, match=r"input words is string"):
        make_feeds(OnnxSession(onnxruntime.InferenceSession(model.SerializeToString())), 1, None, "m.onnx")


def test_the_sample_is_used_in_turn(exported: Path) -> None:
    sample = exported.with_name("sample.npz")
    feeds, source = make_feeds(open_model(exported, 1), 2, sample, "m.onnx")
    inputs = read_sample(sample)["inputs"]
    assert source == "6 real images"
    assert len(feeds) == 6
    assert np.array_equal(feeds[5]["input"], inputs[[5, 0]])


def test_a_sample_of_another_size_is_left_aside(exported: Path, foreign: Maker) -> None:
    session = open_model(foreign(("x", TensorProto.FLOAT, ["n", 3, 16, 16])), 1)
    assert make_feeds(session, 1, exported.with_name("sample.npz"), "m.onnx")[1] == "made-up values"


def test_big_inputs_are_few(foreign: Maker) -> None:
    session = open_model(foreign(("x", TensorProto.FLOAT, ["n", 3, 224, 224])), 1)
    feeds, _ = make_feeds(session, 100, None, "m.onnx")
    assert len(feeds) == 1
    assert feeds[0]["x"].nbytes > POOL_BYTES


WHOLE = {
    "inputs": np.zeros((2, 3, 8, 8), np.float32),
    "logits": np.zeros((2, 4), np.float32),
    "labels": np.zeros(2, np.int64),
}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"labels": None}, "it has no labels"),
        ({"inputs": None, "logits": None}, "it has no inputs and no logits"),
        ({"inputs": np.zeros((0, 3, 8, 8), np.float32)}, r"its inputs are float32 \[0, 3, 8, 8\]"),
        ({"inputs": np.float32(1)}, "its inputs are float32"),
        ({"inputs": np.full((2, 3), "x")}, "its inputs are <U1"),
        ({"inputs": np.full((2, 3), None, object)}, "cannot be read"),
        ({"logits": np.zeros(2, np.float32)}, "its logits are float32"),
        ({"logits": np.full((2, 4), np.nan, np.float32)}, "its logits are not all numbers"),
        ({"labels": np.zeros(3, np.int64)}, "it has 2 inputs, 2 logits, 3 labels"),
    ],
)
def test_a_changed_sample_is_refused_in_words(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    path = tmp_path / "sample.npz"
    np.savez(path, **WHOLE)
    assert read_sample(path).keys() == WHOLE.keys()
    np.savez(path, **{name: value for name, value in (WHOLE | changed).items() if value is not None})
    with pytest.raises(CheckpointError, match=rf"sample\.npz: .*{words}"):
        read_sample(path)


@pytest.mark.parametrize("content", [b"", b"# text", b"\x93NUMPY\x01\x00"])
def test_what_is_no_archive_is_no_sample(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sample.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"sample\.npz: cannot be read"):
        read_sample(tmp_path / "sample.npz")


def test_a_torn_sample_is_named(tmp_path: Path) -> None:
    (tmp_path / "sample.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(CheckpointError, match=r"sample\.npz: cannot be read"):
        read_sample(tmp_path / "sample.npz")
