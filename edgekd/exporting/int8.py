"""An ONNX file in INT8: calibrated on training images, chosen on validation images, written for a processor."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from edgekd.exporting.parity import BATCH, Parity, difference
from edgekd.profiling.measure.measuring import Setting
from edgekd.profiling.measure.process import Child
from edgekd.quantization.calibration import CalibrationRecipe, Calibrator, Quantised
from edgekd.quantization.graph import Graph
from edgekd.quantization.grid import Array
from edgekd.quantization.sensitivity import (
    Sensitivity,
    divergence,
    layer_times,
    measure_layers,
    worst_for_accuracy,
    worst_for_time,
)
from edgekd.quantization.shrinking import shrink
from edgekd.runtimes.session import QUIET

KEY = "edgekd"
"""The metadata entry that holds everything as one JSON object."""
TRIED = 1000
"""Validation images on which recipes and layers are compared."""


@dataclass(frozen=True)
class Evidence:
    """Prepared validation images [n, ...], their labels [n] (-1: unknown) and the float32 logits [n, classes]."""

    inputs: Array
    labels: NDArray[np.int64]
    expected: Array

    def first(self, count: int) -> "Evidence":
        """Evenly spread `count` of them."""
        rows = np.linspace(0, len(self.inputs) - 1, min(count, len(self.inputs))).astype(np.int64)
        return Evidence(self.inputs[rows], self.labels[rows], self.expected[rows])

    def answer(self, model: ModelProto) -> Array:
        """The model's logits on these images."""
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = QUIET
        settings.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
        given = session.get_inputs()[0]
        size = given.shape[0] if isinstance(given.shape[0], int) else BATCH
        parts = []
        for start in range(0, len(self.inputs), size):
            part = self.inputs[start : start + size]
            filled = (
                np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)]) if len(part) < size else part
            )
            parts.append(session.run(None, {given.name: filled})[0].reshape(len(filled), -1)[: len(part)])
        return np.concatenate(parts)

    def parity(self, model: ModelProto) -> Parity:
        """How far the model's answers are from the expected ones."""
        return difference(self.answer(model), self.expected, self.labels)


@dataclass(frozen=True)
class Int8Trial:
    """A recipe and the divergence (nats) of its answers from float32's on validation images."""

    recipe: CalibrationRecipe
    divergence: float


def find_recipe(calibrator: Calibrator, evidence: Evidence, recipes: Sequence[CalibrationRecipe]) -> list[Int8Trial]:
    """All recipes tried, the one nearest to the float32 answers first."""
    few = evidence.first(TRIED)
    trials = [
        Int8Trial(each, divergence(few.answer(calibrator.quantise(each).model), few.expected)) for each in recipes
    ]
    return sorted(trials, key=lambda trial: trial.divergence)


def find_costs(
    calibrator: Calibrator, recipe: CalibrationRecipe, evidence: Evidence, setting: Setting | None
) -> list[Sensitivity]:
    """What each layer costs in accuracy and, measured with `setting`, in time."""
    few = evidence.first(TRIED // 2)
    rows = measure_layers(calibrator, recipe, few.answer, few.expected)
    if setting is None:
        return rows
    slow, fast = (
        _times(model, calibrator.graph, setting)
        for model in (calibrator.graph.model, calibrator.quantise(recipe).model)
    )
    return [replace(row, float_ms=slow.get(row.layer), int8_ms=fast.get(row.layer)) for row in rows]


def _times(model: ModelProto, graph: Graph, setting: Setting) -> dict[str, float]:
    with (
        TemporaryDirectory(prefix="edgekd-layers-") as folder,
        Child("edgekd.profiling.measure.inspection_process") as child,
    ):
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        shape = {"kind": "operators", "path": str(path), "sample": None}
        found = child.ask(**shape, batch=setting.batch, threads=setting.threads)
    return layer_times(graph, found["as_run"]["by_node"])


def mix(
    calibrator: Calibrator,
    recipe: CalibrationRecipe,
    costs: Sequence[Sensitivity],
    evidence: Evidence,
    most_lost: float,
) -> tuple[Quantised, list[str]]:
    """INT8 without the layers it makes slower and, until no more than `most_lost` is lost, without the worst others.

    The model and the names of the layers left in float32.
    """
    left = worst_for_time(costs)
    found = calibrator.quantise(recipe, left)
    for layer in worst_for_accuracy(costs):
        parity = evidence.parity(found.model)
        lost = 1 - parity.top1_agreement if parity.top1_change is None else -parity.top1_change
        if lost <= most_lost or len(left) >= len(costs) - 1:
            break
        if layer not in left:
            left.append(layer)
            found = calibrator.quantise(recipe, left)
    return found, left


def multiply_adds(graph: Graph) -> dict[str, int]:
    """Multiply-adds of one image by layer, from the shapes of the graph; layers of unknown shape are left out."""
    shapes = {
        each.name: [dim.dim_value for dim in each.type.tensor_type.shape.dim]
        for each in (*graph.model.graph.value_info, *graph.model.graph.output)
    }
    found = {}
    for node in graph.layers():
        shape = shapes.get(node.output[0], [0, 0])[1:]
        weights = graph.weights[node.input[1]]
        each = int(np.prod(weights.shape[1:])) if node.op_type == "Conv" else weights.size // max(shape[-1], 1)
        if shape and all(shape):
            found[node.name] = int(np.prod(shape)) * each
    return found


def save(model: ModelProto, path: Path, record: dict[str, Any] | None) -> None:
    """Shrink, describe, check and write a model."""
    written = ModelProto()
    written.CopyFrom(model)
    shrink(written)
    if record is not None:
        set_record(written, record)
    onnx.checker.check_model(written)
    path.write_bytes(written.SerializeToString())


def set_record(model: ModelProto, record: dict[str, Any]) -> None:
    """Replace all metadata by edgekd's own."""
    others = [(each.key, each.value) for each in model.metadata_props if each.key not in (KEY, "onnx.infer")]
    del model.metadata_props[:]
    text = json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    for key, value in [*others, (KEY, text)]:
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value


Feed = Callable[[NDArray[np.uint8]], Array]
"""Canvases, uint8 [n, S, S, C], to what the model's input takes."""
