"""Cross-layer equalisation: a channel's scale moves from one layer into the next where the result stays the same.

Nagel et al., "Data-free quantization through weight equalization and bias correction" (2019), section 4.1.
"""

from collections.abc import Mapping

import numpy as np
from onnx import NodeProto

from edgekd.quantization.graph import Graph, groups_of
from edgekd.quantization.grid import Array
from edgekd.quantization.ranges import Observed

HOMOGENEOUS = ("Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool")
"""f(s x) = s f(x) for s > 0, in each channel by itself. HardSwish, GELU, Clip and Sigmoid are not among them."""
DEAD = 1e-6
"""A channel below this share of the largest one says nothing; it is left alone."""


def equalise(graph: Graph, observed: Mapping[str, Observed]) -> int:
    """Scale the channels between neighbouring convolutions in place; how many pairs there were.

    With r1 the largest value of a channel between two convolutions and r2 the largest weight that reads it, the
    channel is divided by s = sqrt(r1 / r2), as in equation 11, and the weights of the second are multiplied by it. A
    depthwise second convolution has a weight scale for every channel, so there s = r1 makes all channels alike.
    """
    pairs = 0
    for first in graph.layers():
        found = _next_layer(graph, first)
        if found is None:
            continue
        second, tensor = found
        if tensor in observed:
            _scale(graph, first, second, observed[tensor].largest)
            pairs += 1
    return pairs


def _next_layer(graph: Graph, first: NodeProto) -> tuple[NodeProto, str] | None:
    """The convolution that alone reads what `first` gives, and the tensor it reads; None where there is none."""
    if first.op_type != "Conv":
        return None
    tensor = first.output[0]
    while True:
        takers = graph.consumers(tensor)
        if len(takers) != 1 or tensor == graph.output:
            return None
        taker = takers[0]
        if taker.op_type in HOMOGENEOUS:
            tensor = taker.output[0]
            continue
        both = [first, taker]
        alone = all(len(graph.consumers(name)) == 1 for node in both for name in node.input[1:] if name)
        is_fit = taker.op_type == "Conv" and taker.input[0] == tensor and taker.input[1] in graph.weights
        return (taker, tensor) if is_fit and alone and _reads_plainly(graph, taker) else None


def _reads_plainly(graph: Graph, node: NodeProto) -> bool:
    """Whether input channel i meets weights [:, i] (one group) or [i] (depthwise)."""
    return groups_of(node) == 1 or graph.weights[node.input[1]].shape[1] == 1


def _scale(graph: Graph, first: NodeProto, second: NodeProto, largest: Array) -> None:
    weights = graph.weights[second.input[1]]
    is_depthwise = groups_of(second) > 1
    if len(largest) != weights.shape[0 if is_depthwise else 1]:
        return
    r2 = np.ones_like(largest) if is_depthwise else np.abs(weights).max(axis=(0, 2, 3))
    is_alive = (largest > DEAD * largest.max()) & (r2 > DEAD * r2.max())
    wanted = np.log(np.where(is_alive, largest / np.where(is_alive, r2, 1.0), 1.0)) * (1.0 if is_depthwise else 0.5)
    middle = wanted[is_alive].mean() if is_alive.any() else 0.0
    scales = np.exp(np.where(is_alive, wanted - middle, 0.0)).astype(np.float32)
    graph.set_weight(first.input[1], graph.weights[first.input[1]] / scales[:, None, None, None])
    bias = graph.bias_of(first)
    graph.set_weight(bias, graph.weights[bias] / scales)
    along = scales[:, None, None, None] if is_depthwise else scales[None, :, None, None]
    graph.set_weight(second.input[1], weights * along)
