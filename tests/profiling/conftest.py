"""Small ONNX models made on the spot, with and without edgekd's own metadata."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

CLASSES = ["cat", "dog", "eel", "fox"]
RECORD = {
    "format": 1,
    "classes": CLASSES,
    "input_size": 8,
    "channels": 3,
    "canvas": 8,
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "model": "small",
    "params": 244,
    "macs": 13844,
    "train_seconds": 90.0,
    "parents": {},
    "top1": 0.75,
}


def build(path: Path, record: dict[str, Any] | None = None, width: int = 8) -> Path:
    """Conv 3x3 -> mean -> linear over [batch, 3, 8, 8]; with a record, sample.npz beside it too."""
    random = np.random.default_rng(0)
    weights = {
        "w": random.standard_normal((width, 3, 3, 3), dtype=np.float32),
        "head": random.standard_normal((width, 4), dtype=np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["input", "w"], ["maps"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["maps"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "head"], ["logits"]),
    ]
    save(path, nodes, [("input", TensorProto.FLOAT, ["batch", 3, 8, 8])], ["logits"], weights, record)
    if record is not None:
        inputs = random.standard_normal((6, 3, 8, 8), dtype=np.float32)
        logits = onnxruntime.InferenceSession(str(path)).run(None, {"input": inputs})[0]
        np.savez(path.parent / "sample.npz", inputs=inputs, logits=logits, labels=logits.argmax(1))
    return path


def save(  # noqa: PLR0913
    path: Path,
    nodes: list[Any],
    inputs: list[tuple[str, int, list[int | str | None]]],
    outputs: list[str],
    weights: dict[str, Any] | None = None,
    record: dict[str, Any] | None = None,
) -> Path:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if record is not None:
        helper.set_model_props(model, {"edgekd": json.dumps(record)})
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as edgekd exports it, made once; not to be changed."""
    return build(tmp_path_factory.mktemp("built") / "small" / "model.onnx", RECORD)


@pytest.fixture
def exported(tmp_path: Path, built: Path) -> Path:
    """A copy of it, with its sample."""
    shutil.copytree(built.parent, tmp_path / "runs" / "small")
    return tmp_path / "runs" / "small" / "model.onnx"


@pytest.fixture
def foreign(tmp_path: Path) -> Callable[..., Path]:
    """A third-party model: the mean of each of its inputs, cast to float, is its output."""

    def make(*inputs: tuple[str, int, list[int | str | None]]) -> Path:
        nodes, casts = [], []
        for index, (name, _, shape) in enumerate(inputs):
            nodes.append(helper.make_node("Cast", [name], [f"cast{index}"], to=TensorProto.FLOAT))
            nodes.append(
                helper.make_node("ReduceMean", [f"cast{index}"], [f"mean{index}"], axes=list(range(1, len(shape))))
            )
            casts.append(f"mean{index}")
        nodes.append(helper.make_node("Sum", casts, ["result"]))
        return save(tmp_path / "foreign.onnx", nodes, list(inputs), ["result"])

    return make


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Another /proc and /sys: a function that writes their files."""
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.setenv("EDGEKD_SYSROOT", str(root))

    def write(files: dict[str, str]) -> None:
        for place, text in files.items():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            (root / place).write_text(text)

    return write
