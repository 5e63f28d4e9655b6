import numpy as np
import pytest
from onnx import ModelProto

from edgekd.errors import CheckpointError
from edgekd.quantization.graph import Graph
from edgekd.quantization.ranges import BINS, METHODS, Observed, observe, ranges_of


def seen(values: np.ndarray) -> Observed:
    low, high = float(values.min()), float(values.max())
    counts = np.histogram(values, bins=BINS, range=(low, high))[0]
    return Observed(low, high, counts, np.zeros(1), np.ones(1))


def test_what_is_seen_of_a_tensor(plain: ModelProto, images: np.ndarray) -> None:
    found = observe(Graph(plain), images)
    assert {"input", "c1", "r1", "logits"} <= found.keys()
    assert found["input"].low == images.min() and found["input"].high == images.max()
    assert np.allclose(found["input"].means, images.mean(axis=(0, 2, 3)), atol=1e-6)
    assert np.allclose(found["input"].largest, np.abs(images).max(axis=(0, 2, 3)))
    assert found["input"].counts.sum() == images.size and found["r1"].low == 0


@pytest.mark.parametrize("method", METHODS)
def test_an_even_spread_needs_its_whole_range(method: str) -> None:
    low, high = ranges_of({"x": seen(np.linspace(-1, 2, 100_000))}, method)["x"]
    assert low == pytest.approx(-1, abs=0.05) and high == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("method", ["percentile", "entropy", "mse"])
def test_one_far_value_does_not_set_the_range(method: str) -> None:
    values = np.append(np.random.default_rng(0).normal(size=500_000), 40.0)
    assert ranges_of({"x": seen(values)}, method)["x"][1] < 25
    assert ranges_of({"x": seen(values)}, "minmax")["x"][1] == 40


def test_values_that_are_no_numbers_are_told(plain: ModelProto, images: np.ndarray) -> None:
    with pytest.raises(CheckpointError, match="no numbers"):
        observe(Graph(plain), images * np.nan)


def test_images_of_another_shape_are_told(plain: ModelProto) -> None:
    with pytest.raises(CheckpointError, match="calibration images"):
        observe(Graph(plain), np.zeros((2, 1, 8, 8), np.float32))
