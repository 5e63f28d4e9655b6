from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgekd.errors import CheckpointError
from edgekd.quantization.graph import Graph, read_graph
from edgekd.quantization.writer import activation_grid, weight_grid, write_int8

Save = Callable[[ModelProto], Path]


def with_norm(axes_as_input: bool = True) -> ModelProto:
    """Convolution, batch norm, ReLU, ReduceMean over height and width, Gemm; nodes without names."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(size=(4, 3, 3, 3)),
        "scale": rng.uniform(0.5, 2, 4),
        "bias": rng.normal(size=4),
        "mean": rng.normal(size=4),
        "var": rng.uniform(0.5, 2, 4),
        "head": rng.normal(size=(4, 4)),
    }
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    tensors.append(numpy_helper.from_array(np.array([2, 3], np.int64), "axes"))
    nodes = [
        helper.make_node("Conv", ["input", "w"], ["c"]),
        helper.make_node("BatchNormalization", ["c", "scale", "bias", "mean", "var"], ["n"]),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("ReduceMean", ["r", "axes"], ["m"], keepdims=1),
        helper.make_node("Flatten", ["m"], ["f"]),
        helper.make_node("Gemm", ["f", "head"], ["logits"]),
    ]
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 8, 8])
    found = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 4])
    graph = helper.make_graph(nodes, "net", [given], [found], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def test_batch_norm_is_folded_and_means_become_pools(save: Save, run: Callable, images: np.ndarray) -> None:
    model = with_norm()
    graph = read_graph(save(model))
    assert [node.op_type for node in graph.nodes] == ["Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm"]
    assert len({node.name for node in graph.nodes}) == 5
    assert np.allclose(run(graph.model, images), run(model, images), atol=1e-5)


def test_a_quantised_file_is_refused(save: Save, plain: ModelProto, images: np.ndarray, vnni: object) -> None:
    graph = Graph(plain)
    grid = activation_grid({"input": (-1, 1), "c1": (-1, 1)}, "uint8") | weight_grid(graph, vnni)
    with pytest.raises(CheckpointError, match="quantised already"):
        read_graph(save(write_int8(graph, grid, vnni, [node.name for node in graph.nodes if node.name != "first"])))


def test_a_file_without_layers_is_refused(save: Save) -> None:
    given, found = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 8, 8]) for name in ("a", "b"))
    graph = helper.make_graph([helper.make_node("Relu", ["a"], ["b"])], "net", [given], [found])
    with pytest.raises(CheckpointError, match="no float32 convolution"):
        read_graph(save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)))


def test_what_is_no_onnx_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "cut.onnx").write_bytes(b"\x08\x07\x12")
    with pytest.raises(CheckpointError):
        read_graph(tmp_path / "cut.onnx")
