"""Which layers cost accuracy in INT8, and which cost time."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto

from edgekd.quantization.calibration import CalibrationRecipe, Calibrator
from edgekd.quantization.graph import Graph, groups_of
from edgekd.quantization.grid import Array

Answer = Callable[[ModelProto], Array]
"""Logits [n, classes] of a model on the validation images."""
_SUFFIXES = r"(_token_\d+|_nchwc|_quant|_QuantizeLinear|_DequantizeLinear)+$"


@dataclass(frozen=True)
class Sensitivity:
    """One layer: what quantising it alone does to the answers, and its time with all that follows it, ms.

    `divergence` is the mean Kullback-Leibler divergence of the answers (nats), `changed` the share of images whose
    first choice changes. The times are None where they were not measured.
    """

    layer: str
    operator: str
    params: int
    divergence: float
    changed: float
    float_ms: float | None = None
    int8_ms: float | None = None


def divergence(found: Array, expected: Array) -> float:
    """Mean Kullback-Leibler divergence of softmax(found) from softmax(expected), nats; inf for what is no number."""
    if not np.isfinite(found).all():
        return float("inf")
    p, q = (each - np.log(np.exp(each).sum(1, keepdims=True)) for each in (_shifted(expected), _shifted(found)))
    return float((np.exp(p) * (p - q)).sum(1).mean())


def _shifted(logits: Array) -> Array:
    return np.asarray(logits - logits.max(1, keepdims=True), np.float64)


def measure_layers(
    calibrator: Calibrator, recipe: CalibrationRecipe, answer: Answer, expected: Array
) -> list[Sensitivity]:
    """Quantise every layer alone and compare the answers with the float32 ones `expected` [n, classes]."""
    graph = calibrator.graph
    every = {node.name for node in graph.nodes}
    found = []
    for node in graph.layers():
        near = {node.name, *(each.name for each in graph.consumers(node.output[0]) if each.op_type in ("Relu", "Clip"))}
        logits = answer(calibrator.quantise(recipe, every - near).model)
        found.append(
            Sensitivity(
                node.name,
                _in_words(node, graph),
                graph.weights[node.input[1]].size,
                divergence(logits, expected),
                float((logits.argmax(1) != expected.argmax(1)).mean()),
            )
        )
    return found


def _in_words(node: NodeProto, graph: Graph) -> str:
    """`Conv 3x3 16-32`, `depthwise 5x5 96`."""
    shape = graph.weights[node.input[1]].shape
    if node.op_type != "Conv":
        return f"{node.op_type} {shape[0]}x{shape[1]}"
    kernel = "x".join(map(str, shape[2:]))
    if groups_of(node) == shape[0] and shape[1] == 1:
        return f"depthwise {kernel} {shape[0]}"
    return f"Conv {kernel} {shape[1] * groups_of(node)}-{shape[0]}"


def layer_times(graph: Graph, nodes: Sequence[dict[str, Any]]) -> dict[str, float]:
    """ms by layer from the nodes of a profile (`name`, `ms`): a layer counts with what follows it up to the next."""
    names = {node.name: node for node in graph.nodes}
    layers = {node.name for node in graph.layers()}
    found: dict[str, float] = {}
    for row in nodes:
        name = re.sub(_SUFFIXES, "", str(row["name"]))
        node = names.get(name) or graph.producer(name)
        while node is not None and node.name not in layers:
            node = next((each for each in map(graph.producer, node.input) if each is not None), None)
        if node is not None:
            found[node.name] = found.get(node.name, 0.0) + float(row["ms"])
    return found


def worst_for_time(rows: Sequence[Sensitivity], margin: float = 1.1) -> list[str]:
    """Layers that INT8 makes slower by more than `margin`, the most costly first."""
    timed = [(row.int8_ms - row.float_ms, row) for row in rows if row.int8_ms is not None and row.float_ms is not None]
    slow = [(lost, row) for lost, row in timed if (row.int8_ms or 0) > margin * (row.float_ms or 0)]
    return [row.layer for _, row in sorted(slow, key=lambda pair: -pair[0])]


def worst_for_accuracy(rows: Sequence[Sensitivity]) -> list[str]:
    """Layers by what they do to the answers, the worst first."""
    return [row.layer for row in sorted(rows, key=lambda row: -row.divergence)]
