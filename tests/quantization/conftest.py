"""Small graphs made by code: a residual net with batch norm folded, and one whose channels differ a thousandfold."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgekd.quantization.kernels import Kernels, kernels_of

Run = Callable[[ModelProto, np.ndarray], np.ndarray]


def make_model(weights: dict[str, np.ndarray], nodes: list[onnx.NodeProto], classes: int = 4) -> ModelProto:
    """A model with input [batch, 3, 8, 8] and output [batch, classes]."""
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 8, 8])
    found = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "net", [given], [found], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.fixture
def plain() -> ModelProto:
    """Convolution, ReLU, depthwise convolution, ReLU, residual sum, mean, Gemm."""
    rng = np.random.default_rng(0)
    weights = {
        "w1": rng.normal(size=(6, 3, 3, 3)) * 0.3,
        "b1": rng.normal(size=6) * 0.1,
        "w2": rng.normal(size=(6, 1, 3, 3)) * 0.4,
        "w3": rng.normal(size=(6, 6, 1, 1)) * 0.4,
        "b3": rng.normal(size=6) * 0.1,
        "w4": rng.normal(size=(4, 6)),
        "b4": rng.normal(size=4),
    }
    nodes = [
        helper.make_node("Conv", ["input", "w1", "b1"], ["c1"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], "depthwise", pads=[1, 1, 1, 1], group=6),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Conv", ["r2", "w3", "b3"], ["c3"], "third"),
        helper.make_node("Relu", ["c3"], ["s"]),
        helper.make_node("GlobalAveragePool", ["s"], ["m"]),
        helper.make_node("Flatten", ["m"], ["f"]),
        helper.make_node("Gemm", ["f", "w4", "b4"], ["logits"], "head", transB=1),
    ]
    return make_model(weights, nodes)


@pytest.fixture
def uneven(plain: ModelProto) -> ModelProto:
    """The same answers by weights whose channels differ a thousandfold, which one range for all cannot hold."""
    scales = np.array([1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0], np.float32)
    changed = ModelProto()
    changed.CopyFrom(plain)
    values = {each.name: numpy_helper.to_array(each).copy() for each in changed.graph.initializer}
    values["w1"] *= scales[:, None, None, None]
    values["b1"] *= scales
    values["w2"] /= scales[:, None, None, None]
    for each in changed.graph.initializer:
        each.CopyFrom(numpy_helper.from_array(values[each.name], each.name))
    return changed


@pytest.fixture
def images() -> np.ndarray:
    """64 prepared images."""
    return np.random.default_rng(1).normal(size=(64, 3, 8, 8)).astype(np.float32)


@pytest.fixture
def vnni() -> Kernels:
    """Kernels of an x86 processor with VNNI."""
    return kernels_of("x86", "x86_64", ["avx512_vnni"])


@pytest.fixture
def run() -> Run:
    """Logits of a model."""

    def answer(model: ModelProto, inputs: np.ndarray) -> np.ndarray:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: inputs})[0]

    return answer


@pytest.fixture
def save(tmp_path: Path) -> Callable[[ModelProto], Path]:
    """Write a model to a file."""

    def write(model: ModelProto) -> Path:
        path = tmp_path / "net.onnx"
        onnx.save(model, path)
        return path

    return write
