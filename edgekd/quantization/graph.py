"""An ONNX graph as quantisation reads and changes it: who makes a tensor, who takes it, which weights it holds."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, numpy_helper

from edgekd.errors import CheckpointError
from edgekd.quantization.folding import fold
from edgekd.quantization.grid import Array
from edgekd.runtimes.session import plain_words

LAYERS = ("Conv", "Gemm", "MatMul")
"""Operators with weights."""


class Graph:
    """A model of which no node is shared with the caller; `model` is its current state."""

    def __init__(self, model: ModelProto) -> None:
        self.model: ModelProto = onnx.shape_inference.infer_shapes(model)
        self._name_nodes()
        self._index()

    @property
    def nodes(self) -> list[NodeProto]:
        """The nodes in order of execution."""
        return list(self.model.graph.node)

    @property
    def input(self) -> str:
        """The name of the one real input."""
        return str(next(each.name for each in self.model.graph.input if each.name not in self.weights))

    @property
    def output(self) -> str:
        """The name of the first output."""
        return str(self.model.graph.output[0].name)

    def layers(self) -> Iterator[NodeProto]:
        """Convolutions and matrix products whose weights the file holds."""
        for node in self.model.graph.node:
            if node.op_type in LAYERS and len(node.input) > 1 and node.input[1] in self.weights:
                yield node

    def consumers(self, tensor: str) -> list[NodeProto]:
        """The nodes that take a tensor."""
        return self._consumers.get(tensor, [])

    def producer(self, tensor: str) -> NodeProto | None:
        """The node that makes a tensor; None for inputs and weights."""
        return self._producers.get(tensor)

    def set_weight(self, name: str, values: Array) -> None:
        """Replace the values of a weight, or add one."""
        tensor = numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name)
        for each in self.model.graph.initializer:
            if each.name == name:
                each.CopyFrom(tensor)
                break
        else:
            self.model.graph.initializer.append(tensor)
        self.weights[name] = values

    def bias_of(self, node: NodeProto) -> str:
        """The name of a layer's bias; a convolution or Gemm without one gets zeros."""
        if len(node.input) > 2 and node.input[2]:
            return str(node.input[2])
        name = f"{node.input[1]}.bias"
        self.set_weight(name, np.zeros(self.weights[node.input[1]].shape[channel_axis(node)], np.float32))
        node.input.extend([name])
        return name

    def _name_nodes(self) -> None:
        """Every node gets a name of its own: the writer leaves nodes out by name."""
        seen: set[str] = set()
        for number, node in enumerate(self.model.graph.node):
            if not node.name or node.name in seen:
                node.name = f"{node.op_type}_{number}"
            seen.add(node.name)

    def _index(self) -> None:
        self.weights: dict[str, Array] = {
            each.name: numpy_helper.to_array(each)
            for each in self.model.graph.initializer
            if each.data_type == onnx.TensorProto.FLOAT
        }
        self._producers = {name: node for node in self.model.graph.node for name in node.output}
        self._consumers: dict[str, list[NodeProto]] = {}
        for node in self.model.graph.node:
            for name in dict.fromkeys(node.input):
                self._consumers.setdefault(name, []).append(node)


def channel_axis(node: NodeProto) -> int:
    """The axis of a layer's weights that its output channels lie on."""
    if node.op_type == "Conv":
        return 0
    if node.op_type == "Gemm":
        return 0 if attribute(node, "transB", 0) else 1
    return 1


def attribute(node: NodeProto, name: str, default: int) -> int:
    """A whole-number attribute of a node."""
    return next((int(each.i) for each in node.attribute if each.name == name), default)


def groups_of(node: NodeProto) -> int:
    """The groups of a convolution; 1 for other layers."""
    return attribute(node, "group", 1)


def read_graph(path: Path) -> Graph:
    """A float32 file ready to be quantised: batch norms and constants folded, global means as GlobalAveragePool.

    Raises CheckpointError where it is quantised already, holds no layer, or cannot be read.
    """
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf and file errors of many kinds
        raise CheckpointError(f"{path}: cannot be read as ONNX ({plain_words(error)})", "export it again") from error
    if any(node.op_type in ("QuantizeLinear", "DequantizeLinear", "QLinearConv") for node in model.graph.node):
        raise CheckpointError(f"{path}: is quantised already", "give the float32 file")
    fold(model)
    del model.graph.value_info[:]
    graph = Graph(model)
    if not any(True for _ in graph.layers()):
        raise CheckpointError(
            f"{path}: holds no float32 convolution or matrix product to quantise", "give another file"
        )
    return graph
