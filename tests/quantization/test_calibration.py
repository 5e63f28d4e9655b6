"""Corrections change nothing that they must not change, and keep what one range for all channels would lose."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from edgekd.quantization.bias_correction import correct_biases
from edgekd.quantization.calibration import CalibrationRecipe, Calibrator
from edgekd.quantization.equalisation import equalise
from edgekd.quantization.fusions import count_fused
from edgekd.quantization.graph import Graph
from edgekd.quantization.kernels import Kernels, kernels_of
from edgekd.quantization.ranges import METHODS, observe
from edgekd.quantization.shrinking import shrink
from edgekd.quantization.writer import count_quantised, weight_grid

Run = Callable[[ModelProto, np.ndarray], np.ndarray]


def error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).mean() / np.abs(expected).max())


def test_equalisation_leaves_the_answers_alone(uneven: ModelProto, images: np.ndarray, run: Run) -> None:
    graph = Graph(uneven)
    assert equalise(graph, observe(graph, images)) == 2
    assert np.allclose(run(graph.model, images), run(uneven, images), atol=1e-4)
    after = observe(graph, images)["r1"].largest
    assert after.max() / after.min() < 1.01


def test_equalisation_stops_at_what_is_not_homogeneous(plain: ModelProto, images: np.ndarray) -> None:
    for node in plain.graph.node:
        if node.op_type == "Relu":
            node.op_type = "HardSwish"
    graph = Graph(plain)
    assert equalise(graph, observe(graph, images)) == 0


def test_equalisation_saves_uneven_channels(uneven: ModelProto, images: np.ndarray, run: Run, vnni: Kernels) -> None:
    expected = run(uneven, images)
    calibrator = Calibrator(Graph(uneven), images, vnni)
    worse, better = (
        error(run(calibrator.quantise(CalibrationRecipe("minmax", equalised=way)).model, images), expected)
        for way in (False, True)
    )
    assert better < worse / 3 and better < 0.01


def test_bias_correction_keeps_the_mean_of_every_channel(plain: ModelProto, images: np.ndarray, run: Run) -> None:
    coarse = kernels_of("coarse", "x86_64", ["avx512_vnni"])
    graph = Graph(plain)
    seen = observe(graph, images)
    grid = weight_grid(graph, Kernels(coarse.name, "uint8", 7, is_arm=False, has_dot=True))
    means = []
    for corrected in (False, True):
        changed = Graph(plain)
        if corrected:
            assert correct_biases(changed, grid, seen) == 4
        for name in ("w1", "w2", "w3", "w4"):
            changed.set_weight(name, grid[name].rounded(changed.weights[name]))
        means.append(np.abs(run(changed.model, images).mean(0) - run(plain, images).mean(0)).mean())
    assert means[1] < means[0] / 2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_the_file_answers_nearly_as_the_network(
    plain: ModelProto, images: np.ndarray, run: Run, method: str, arch: str
) -> None:
    kernels = kernels_of(arch, arch, ["avx512_vnni", "asimddp"])
    made = Calibrator(Graph(plain), images, kernels).quantise(CalibrationRecipe(method))
    assert count_quantised(made.model) == 4
    assert error(run(made.model, images), run(plain, images)) < 0.02
    kinds = {each.data_type for each in made.model.graph.initializer}
    assert (onnx.TensorProto.UINT8 in kinds) == (arch == "x86_64") and onnx.TensorProto.INT8 in kinds


def test_weights_of_seven_bits_without_vnni(plain: ModelProto, images: np.ndarray) -> None:
    made = Calibrator(Graph(plain), images, kernels_of("old", "x86_64", ["avx2"])).quantise(CalibrationRecipe())
    whole = [numpy_helper.to_array(t) for t in made.model.graph.initializer if t.data_type == onnx.TensorProto.INT8]
    assert max(int(np.abs(each.astype(int)).max()) for each in whole) == 63


def test_layers_left_out_stay_float(plain: ModelProto, images: np.ndarray, vnni: Kernels) -> None:
    made = Calibrator(Graph(plain), images, vnni).quantise(CalibrationRecipe(), ["depthwise"])
    assert count_quantised(made.model) == 3
    kept = next(t for t in made.model.graph.initializer if t.name == "w2")
    assert kept.data_type == onnx.TensorProto.FLOAT


def test_every_layer_fuses_here(plain: ModelProto, images: np.ndarray, vnni: Kernels, tmp_path: Path) -> None:
    made = Calibrator(Graph(plain), images, vnni).quantise(CalibrationRecipe())
    onnx.save(made.model, tmp_path / "q.onnx")
    found = count_fused(tmp_path / "q.onnx")
    assert (found.in_int8, found.layers) == (4, 4)


def test_shrinking_keeps_every_bit_of_the_answers(
    plain: ModelProto, images: np.ndarray, run: Run, vnni: Kernels
) -> None:
    model = Calibrator(Graph(plain), images, vnni).quantise(CalibrationRecipe()).model
    before, size = run(model, images), model.ByteSize()
    shrink(model)
    assert model.ByteSize() < size * 0.7
    assert np.array_equal(run(model, images), before)
    assert [each.name for each in (*model.graph.input, *model.graph.output)] == ["input", "logits"]
    onnx.checker.check_model(model)
