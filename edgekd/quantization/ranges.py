"""What the tensors of a graph hold on calibration images, and which range of it the grid should cover."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from edgekd.errors import CheckpointError
from edgekd.quantization.graph import Graph
from edgekd.quantization.grid import Array
from edgekd.runtimes.session import QUIET, plain_words

Method = Literal["minmax", "percentile", "entropy", "mse"]
METHODS: tuple[Method, ...] = ("minmax", "percentile", "entropy", "mse")

BINS = 2048
LEVELS = 256
KEPT_SHARE = 0.9999
"""`percentile` covers this share of the values."""
SHRINKINGS = np.linspace(1.0, 0.1, 46)
"""Shares of the largest magnitude at which `entropy` and `mse` try to cut off."""
BATCH = 32


@dataclass(frozen=True)
class Observed:
    """One tensor over all calibration images.

    `counts` [BINS] is the histogram of [low, high]; `means` and `largest` (of the absolute values) are per channel
    (axis 1) [channels].
    """

    low: float
    high: float
    counts: NDArray[np.int64]
    means: Array
    largest: Array


def observe(graph: Graph, inputs: Array) -> dict[str, Observed]:
    """Run the graph on prepared images [n, ...] twice and describe its input and every float tensor in it.

    Raises CheckpointError where it does not run on them, or gives values that are no numbers.
    """
    names = [graph.input, *(name for node in graph.nodes for name in node.output if name)]
    session = _with_outputs(graph.model, names)
    return summarise(lambda: _batches(session, graph.input, inputs))


def summarise(batches: Callable[[], Iterator[Mapping[str, Array]]]) -> dict[str, Observed]:
    """Describe tensors by name [n, ...] over all batches, which are requested twice and must be the same."""
    first: dict[str, list[tuple[float, float, Array, Array]]] = {}
    for values in batches():
        for name, each in values.items():
            first.setdefault(name, []).append(_extent(name, each))
    lows = {name: min(each[0] for each in rows) for name, rows in first.items()}
    highs = {name: max(each[1] for each in rows) for name, rows in first.items()}
    counts = {name: np.zeros(BINS, np.int64) for name in first}
    for values in batches():
        for name, each in values.items():
            counts[name] += _histogram(each, lows[name], highs[name])
    return {
        name: Observed(
            lows[name],
            highs[name],
            counts[name],
            np.mean([each[2] for each in rows], axis=0),
            np.max([each[3] for each in rows], axis=0),
        )
        for name, rows in first.items()
    }


def _extent(name: str, values: Array) -> tuple[float, float, Array, Array]:
    if not np.isfinite(values).all():
        raise CheckpointError(f"{name}: holds values that are no numbers", "train or export the network again")
    axes = tuple(axis for axis in range(values.ndim) if axis != 1)
    magnitudes = np.abs(values).max(axis=axes)
    return float(values.min()), float(values.max()), values.mean(axis=axes, dtype=np.float64), magnitudes


def _histogram(values: Array, low: float, high: float) -> NDArray[np.int64]:
    found: NDArray[np.int64] = np.histogram(values, bins=BINS, range=(low, high if high > low else low + 1.0))[0]
    return found


def _with_outputs(model: ModelProto, names: list[str]) -> Any:  # noqa: ANN401
    """A session that also gives these tensors."""
    copied = ModelProto()
    copied.CopyFrom(model)
    del copied.graph.output[:]
    copied.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = QUIET
    settings.intra_op_num_threads = 1
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(copied.SerializeToString(), settings, providers=["CPUExecutionProvider"])


def _batches(session: Any, name: str, inputs: Array) -> Iterator[dict[str, Array]]:  # noqa: ANN401
    """Float tensors of at least two dimensions, batch by batch; a fixed batch is obeyed."""
    fixed = session.get_inputs()[0].shape[0]
    size = fixed if isinstance(fixed, int) and fixed > 0 else BATCH
    outputs = [each.name for each in session.get_outputs()]
    for start in range(0, len(inputs), size):
        part = inputs[start : start + size]
        if len(part) < size and size == fixed:
            part = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
        try:
            found = session.run(outputs, {name: part})
        except Exception as error:  # ONNX Runtime's own exceptions share no base class
            raise CheckpointError(
                f"the model does not run on calibration images {list(part.shape)} ({plain_words(error)})",
                "give data of the size and channels the model takes",
            ) from error
        yield {
            each: value
            for each, value in zip(outputs, found, strict=True)
            if value.dtype == np.float32 and value.ndim >= 2 and value.size
        }


def ranges_of(observed: Mapping[str, Observed], method: Method) -> dict[str, tuple[float, float]]:
    """The range of each tensor that the grid shall cover."""
    choose = {"minmax": _whole, "percentile": _most, "entropy": _by_divergence, "mse": _by_error}[method]
    return {name: choose(each) if each.high > each.low else (each.low, each.high) for name, each in observed.items()}


def _whole(seen: Observed) -> tuple[float, float]:
    return seen.low, seen.high


def _edges(seen: Observed) -> NDArray[np.float64]:
    return np.linspace(seen.low, seen.high, BINS + 1)


def _most(seen: Observed) -> tuple[float, float]:
    """The middle KEPT_SHARE of the values."""
    shares = np.cumsum(seen.counts) / seen.counts.sum()
    edges, rest = _edges(seen), (1 - KEPT_SHARE) / 2
    first = int(np.searchsorted(shares, rest, side="right"))
    last = int(np.searchsorted(shares, 1 - rest))
    return float(edges[first]), float(edges[min(last, BINS - 1) + 1])


def _candidates(seen: Observed) -> Iterator[tuple[float, float]]:
    """The whole range, cut off at ever smaller magnitudes."""
    largest = max(abs(seen.low), abs(seen.high))
    for factor in SHRINKINGS:
        yield max(min(seen.low, 0.0), -factor * largest), min(max(seen.high, 0.0), factor * largest)


def _by_error(seen: Observed) -> tuple[float, float]:
    """The range of least mean squared error of rounding and clipping."""
    edges = _edges(seen)
    centres = (edges[:-1] + edges[1:]) / 2

    def error(bounds: tuple[float, float]) -> float:
        low, high = bounds
        step = (high - low) / (LEVELS - 1)
        clipped = np.clip(centres, low, high) - centres
        inside = (clipped == 0) * (step * step / 12)
        return float((seen.counts * (clipped * clipped + inside)).sum())

    return min(_candidates(seen), key=error)


def _by_divergence(seen: Observed) -> tuple[float, float]:
    """The range whose 256 values have the least Kullback-Leibler divergence from the values seen (Migacz, 2017).

    Zeros are left out: every grid holds 0 exactly, and after a ReLU they would outweigh all other values.
    """
    edges = _edges(seen)
    centres = (edges[:-1] + edges[1:]) / 2
    counts = seen.counts.copy()
    zero = int(np.clip(np.searchsorted(edges, 0.0, side="right") - 1, 0, BINS - 1))
    counts[zero] = min(counts[zero], counts[max(zero - 1, 0) : zero + 2].min())
    total = max(counts.sum(), 1)

    def divergence(bounds: tuple[float, float]) -> float:
        low, high = bounds
        inside = (centres >= low) & (centres <= high)
        if not inside.any():
            return np.inf
        kept = counts[inside].astype(np.float64)
        level = np.minimum(((centres[inside] - low) / (high - low) * LEVELS).astype(np.int64), LEVELS - 1)
        held = kept > 0
        sums = np.bincount(level, kept, LEVELS)
        places = np.bincount(level, held, LEVELS)
        model = np.where(held, sums[level] / np.maximum(places[level], 1), 0.0)
        # what is clipped counts at the ends of the range, where the grid puts it
        kept[0] += counts[centres < low].sum()
        kept[-1] += counts[centres > high].sum()
        p, q = kept / total, model / max(model.sum(), 1e-12)
        both = p > 0
        return float((p[both] * np.log(p[both] / np.maximum(q[both], 1e-9))).sum())

    return min(_candidates(seen), key=divergence)


def float_tensors(model: ModelProto) -> set[str]:
    """The names of the float32 tensors whose kind is known."""
    known = [*model.graph.value_info, *model.graph.output, *model.graph.input]
    return {each.name for each in known if each.type.tensor_type.elem_type == TensorProto.FLOAT}
