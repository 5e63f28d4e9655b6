"""Third-party files of every kind through the command line: measured, or refused in two lines with status 3."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd.cli.app import main

FLOAT, IMAGES = TensorProto.FLOAT, ["n", 3, 8, 8]
WEIGHT = np.ones((2, 3, 3, 3), np.float32)
SCALES = {"s": np.float32(0.1), "z": np.uint8(128), "wq": WEIGHT.astype(np.int8), "ws": np.float32(0.1)}
CONV = [("Conv", "x w", "y", {})]
RELU = [("Relu", "x", "y", {})]
QDQ = [
    ("QuantizeLinear", "x s z", "q", {}),
    ("DequantizeLinear", "q s z", "d", {}),
    ("DequantizeLinear", "wq ws", "w", {}),
    ("Conv", "d w", "y", {}),
]
NHWC = [("Transpose", "x", "t", {"perm": [0, 3, 1, 2]}), ("Conv", "t w", "y", {})]
TWO = [
    ("Cast", "ids", "f", {"to": FLOAT}),
    ("ReduceSum", "f", "a", {}),
    ("ReduceSum", "x", "b", {}),
    ("Add", "a b", "y", {}),
]
CAST = [("Cast", "x", "y", {"to": FLOAT})]
SEQUENCE = [("SequenceAt", "x i", "y", {})]

Nodes = list[tuple[str, str, str, dict[str, Any]]]
Inputs = dict[str, Any]


def write(path: Path, nodes: Nodes, inputs: Inputs, weights: dict[str, Any] | None = None, **how: Any) -> Path:  # noqa: ANN401
    """A graph of (operator, its inputs, its output, its attributes), with shapes or whole value infos as inputs."""
    given = [
        helper.make_tensor_value_info(name, *each) if isinstance(each, tuple) else each for name, each in inputs.items()
    ]
    outputs = [helper.make_tensor_value_info("y", how.get("out", FLOAT), None)] if how.get("has_output", True) else []
    graph = helper.make_graph(
        [helper.make_node(name, ins.split(), [out], **more) for name, ins, out, more in nodes],
        "g",
        given,
        outputs,
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    opset, version = how.get("opset", 17), how.get("ir_version", 8)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=version)
    onnx.save(model, str(path), **how.get("saved", {}))
    return path


def profiled(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    """The status and what was said on stderr."""
    words = ["profile", str(path), "--duration", "0.02", "--warmup", "0", "--threads", "1", "--quiet", *options]
    status = main(words)
    return status, "".join(line for line in capsys.readouterr().err.splitlines(True) if not line.startswith("warning"))


@pytest.mark.parametrize(
    ("nodes", "inputs", "weights", "how"),
    [
        (CONV, {"x": (FLOAT, IMAGES)}, {"w": WEIGHT}, {}),
        (CONV, {"x": (FLOAT, IMAGES)}, {"w": WEIGHT}, {"opset": 25, "ir_version": 12}),
        (CONV, {"x": (FLOAT, IMAGES)}, {"w": WEIGHT}, {"opset": 7, "ir_version": 3}),
        (CONV, {"x": (FLOAT, ["n", "c", "h", "w"])}, {"w": WEIGHT}, {}),
        (CONV, {"x": (FLOAT, [None, None, None, None])}, {"w": WEIGHT}, {}),
        (NHWC, {"x": (FLOAT, ["n", "h", "w", 3])}, {"w": WEIGHT}, {}),
        (NHWC, {"x": (FLOAT, ["n", "h", "w", "channels"])}, {"w": WEIGHT}, {}),
        (QDQ, {"x": (FLOAT, IMAGES)}, SCALES, {}),
        (CONV, {"x": (TensorProto.FLOAT16, IMAGES)}, {"w": WEIGHT.astype(np.float16)}, {"out": TensorProto.FLOAT16}),
        (CAST, {"x": (TensorProto.DOUBLE, ["n", 4])}, None, {}),
        (CAST, {"x": (TensorProto.UINT16, ["n", 4])}, None, {}),
        (TWO, {"x": (FLOAT, IMAGES), "ids": (TensorProto.INT64, ["n", "length"])}, None, {}),
        (TWO, {"x": (FLOAT, IMAGES), "ids": (TensorProto.INT64, [2])}, None, {}),
        (RELU, {"x": (FLOAT, ["n", 3, 4, 8, 8])}, None, {}),
        (RELU, {"x": (FLOAT, [])}, None, {}),
        ([("Constant", "", "y", {"value_float": 1.0})], {}, None, {}),
        (
            CONV,
            {"x": (FLOAT, IMAGES)},
            {"w": WEIGHT},
            {"saved": {"save_as_external_data": True, "location": "w.bin", "size_threshold": 0}},
        ),
    ],
)
def test_it_is_measured(
    nodes: Nodes,
    inputs: Inputs,
    weights: dict[str, Any] | None,
    how: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert profiled(write(tmp_path / "m.onnx", nodes, inputs, weights, **how), capsys) == (0, "")


TEXTS = {"x": (TensorProto.STRING, ["n"])}
LIST = {"x": helper.make_tensor_sequence_value_info("x", FLOAT, ["n", 3])}
MAYBE = {"x": helper.make_value_info("x", helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, [2])))}
BY_FLOATS = [("Cast", "x", "i", {"to": TensorProto.INT64}), ("Gather", "w i", "y", {})]


@pytest.mark.parametrize(
    ("nodes", "inputs", "weights", "how", "words"),
    [
        (CONV, {"x": (FLOAT, [4, 3, 8, 8])}, {"w": WEIGHT}, {}, "fixed at 4, not 1"),
        (CONV, {"x": (FLOAT, IMAGES)}, {"w": WEIGHT}, {"opset": 99, "ir_version": 12}, "opset"),
        (CONV, {"x": (FLOAT, IMAGES)}, {"w": WEIGHT}, {"ir_version": 99}, "Unsupported model IR version: 99"),
        (CONV, {"x": (FLOAT, None)}, {"w": WEIGHT}, {}, "does not run on x []"),
        (RELU, {"x": (FLOAT, ["n", 0, 4])}, None, {}, "always empty"),
        (RELU, {"x": (FLOAT, ["n", 10**5, 10**5, 100])}, None, {}, "do not fit in memory"),
        (RELU, {"x": (FLOAT, ["n", 4])}, None, {"has_output": False}, "no outputs"),
        ([("Identity", "x", "y", {})], TEXTS, None, {"out": TensorProto.STRING}, "string"),
        (CAST, {"x": (TensorProto.BFLOAT16, ["n", 4])}, None, {}, "bfloat16"),
        (SEQUENCE, LIST, {"i": np.int64(0)}, {}, "seq(tensor(float))"),
        ([("OptionalGetElement", "x", "y", {})], MAYBE, None, {"opset": 18}, "optional(tensor(float))"),
        ([("Magic", "x", "y", {"domain": "acme"})], {"x": (FLOAT, ["n"])}, None, {}, "acme"),
        ([("Reshape", "x w", "y", {})], {"x": (FLOAT, ["n", 7])}, {"w": np.array([3, 5])}, {}, "cannot be reshaped"),
        (BY_FLOATS, {"x": (FLOAT, ["n", 64])}, {"w": np.ones(3, np.float32)}, {}, "inclusive range"),
    ],
)
def test_it_is_refused_in_two_lines(
    nodes: Nodes,
    inputs: Inputs,
    weights: dict[str, Any] | None,
    how: dict[str, Any],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, said = profiled(write(tmp_path / "m.onnx", nodes, inputs, weights, **how), capsys)
    assert (status, len(said.splitlines())) == (3, 2)
    assert words in said and "m.onnx" in said


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def overwrite(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(bytes(50) + content[50:])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_a_broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.parametrize("spoil", [cut, overwrite, empty, become_a_folder, become_a_broken_link, Path.unlink])
def test_what_is_no_model_is_refused_in_two_lines(
    spoil: Callable[[Path], object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "m.onnx", CONV, {"x": (FLOAT, IMAGES)}, {"w": WEIGHT})
    spoil(path)
    status, said = profiled(path, capsys)
    assert (status, len(said.splitlines())) == (3, 2)
    assert "m.onnx" in said


def test_its_own_batch_can_be_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "m.onnx", CONV, {"x": (FLOAT, [4, 3, 8, 8])}, {"w": WEIGHT})
    assert profiled(path, capsys, "--batch", "4", "--operators") == (0, "")
