"""A QDQ file from a float32 graph and its grid, by ONNX Runtime's own quantiser, which places Q/DQ where it fuses."""

import logging
import warnings
from collections.abc import Collection
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import TensorData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from edgekd.quantization.graph import Graph, channel_axis
from edgekd.quantization.grid import Grid, Kind, Steps, activation_steps, weight_steps
from edgekd.quantization.kernels import Kernels
from edgekd.quantization.ranges import float_tensors

QUANTISED = (
    *("Conv", "Gemm", "MatMul", "Add", "Mul", "Relu", "Clip", "LeakyRelu", "Concat"),
    *("GlobalAveragePool", "AveragePool", "MaxPool", "Reshape", "Flatten", "Squeeze", "Transpose"),
)
"""Operators that ONNX Runtime's CPU computes in INT8, or that only move values."""
FLOAT_OUTPUTS = ("Gemm", "MatMul")
"""Their outputs stay float32: logits keep their resolution, and nothing follows that would gain."""
DOTS = ("ConvTranspose", *("Conv", "Gemm", "MatMul"))
_TYPES = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}


def weight_grid(graph: Graph, kernels: Kernels, *, per_channel: bool = True) -> dict[str, Steps]:
    """Symmetric steps for the weights of every layer, one scale for each output channel."""
    found = {}
    for node in graph.layers():
        axis = channel_axis(node) if per_channel else None
        found[node.input[1]] = weight_steps(graph.weights[node.input[1]], axis, kernels.weight_limit)
    return found


def activation_grid(ranges: dict[str, tuple[float, float]], kind: Kind) -> dict[str, Steps]:
    """Steps for activations that cover these ranges."""
    return {name: activation_steps(low, high, kind) for name, (low, high) in ranges.items()}


def write_int8(graph: Graph, grid: Grid, kernels: Kernels, left_out: Collection[str] = ()) -> ModelProto:
    """The graph with Q/DQ around all that has an INT8 kernel, on `grid`; nodes named in `left_out` stay float32.

    Elementwise operators stay float32 too where none of the operators beside them is quantised.
    """
    nodes = _chosen(graph, set(left_out))
    known = float_tensors(graph.model)
    ranges = {name: _range(steps) for name, steps in grid.items() if name not in graph.weights and name in known}
    settings = {
        "TensorQuantOverrides": {name: _override(grid[name]) for name in ranges}
        | {name: _override(steps) for name, steps in grid.items() if name in graph.weights},
        "OpTypesToExcludeOutputQuantization": list(FLOAT_OUTPUTS),
        "WeightSymmetric": True,
    }
    model = ModelProto()
    model.CopyFrom(graph.model)
    logging.getLogger().setLevel(max(logging.getLogger().level, logging.ERROR))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        writer = QDQQuantizer(
            model,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=_TYPES[kernels.activations],
            tensors_range=ranges,
            nodes_to_quantize=nodes,
            nodes_to_exclude=[],
            op_types_to_quantize=list(QUANTISED),
            extra_options=settings,
        )
        writer.quantize_model()
        writer.model.topological_sort()
    written: ModelProto = writer.model.model
    return written


def _chosen(graph: Graph, left_out: set[str]) -> list[str]:
    """The nodes to quantise: layers, and of the others those that touch a quantised layer on some way of such."""
    wanted = {node.name: node for node in graph.nodes if node.op_type in QUANTISED and node.name not in left_out}
    reached = {name for name, node in wanted.items() if node.op_type in DOTS}
    growing = set(reached)
    while growing:
        nodes = [wanted[name] for name in growing]
        near = [taker for node in nodes for name in node.output for taker in graph.consumers(name)]
        near += [maker for node in nodes for name in node.input if (maker := graph.producer(name)) is not None]
        growing = {node.name for node in near if node.name in wanted} - reached
        reached |= growing
    return [node.name for node in graph.nodes if node.name in reached]


def _range(steps: Steps) -> TensorData:
    low, high = (0, 255) if steps.kind == "uint8" else (-128, 127)
    ends = [np.float32((each - steps.zero_point) * float(steps.scale)) for each in (low, high)]
    return TensorData(lowest=ends[0], highest=ends[1])


def _override(steps: Steps) -> list[dict[str, Any]]:
    kind = _TYPES[steps.kind]
    zero = np.array(steps.zero_point, np.uint8 if steps.kind == "uint8" else np.int8)
    if steps.axis is None:
        return [{"quant_type": kind, "scale": np.array(steps.scale, np.float32), "zero_point": zero}]
    return [
        {"quant_type": kind, "scale": np.array(each, np.float32), "zero_point": zero, "axis": steps.axis}
        for each in steps.scale
    ]


def count_quantised(model: ModelProto) -> int:
    """How many layers of a QDQ graph read weights through DequantizeLinear."""
    makers = {name: node for node in model.graph.node for name in node.output}
    layers = (node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul") and len(node.input) > 1)
    return sum(node.input[1] in makers and makers[node.input[1]].op_type == "DequantizeLinear" for node in layers)


def check(model: ModelProto) -> None:
    """Raise onnx's own error where the graph is not valid ONNX."""
    onnx.checker.check_model(model)
