"""Bias correction: what rounding the weights adds to a layer's mean output is taken out of its bias.

Nagel et al., "Data-free quantization through weight equalization and bias correction" (2019), equation 17, with the
means of the inputs seen on calibration images.
"""

from collections.abc import Mapping

import numpy as np

from edgekd.quantization.graph import Graph, channel_axis, groups_of
from edgekd.quantization.grid import Array, Grid
from edgekd.quantization.ranges import Observed


def correct_biases(graph: Graph, grid: Grid, observed: Mapping[str, Observed]) -> int:
    """Shift the biases in place for weights on `grid`; how many layers were corrected."""
    count = 0
    for node in list(graph.layers()):
        seen = observed.get(node.input[0])
        steps = grid.get(node.input[1])
        if seen is None or steps is None or node.op_type == "MatMul":
            continue
        weights = graph.weights[node.input[1]]
        error = steps.rounded(weights) - weights
        shift = _mean_output(error, seen.means, groups_of(node), channel_axis(node))
        if shift is not None:
            bias = graph.bias_of(node)
            graph.set_weight(bias, (graph.weights[bias] - shift).astype(np.float32))
            count += 1
    return count


def _mean_output(error: Array, means: Array, groups: int, axis: int) -> Array | None:
    """The mean of a layer with weights `error` on inputs with `means` [channels]: [outputs]; None if sizes differ."""
    if error.ndim == 2:
        rows = error if axis == 0 else error.T
        return rows @ means if rows.shape[1] == len(means) else None
    sums = error.sum(axis=tuple(range(2, error.ndim)))
    if sums.shape[1] * groups != len(means):
        return None
    inputs = np.repeat(means.reshape(groups, -1), len(sums) // groups, axis=0)
    return np.asarray((sums * inputs).sum(axis=1))
