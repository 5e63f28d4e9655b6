import numpy as np
import pytest

from edgekd.quantization.grid import activation_steps, weight_steps


@pytest.mark.parametrize("kind", ["uint8", "int8"])
@pytest.mark.parametrize(("low", "high"), [(0.0, 6.0), (-1.0, 3.0), (-2.5, 0.0), (0.5, 2.0), (-3.0, -1.0)])
def test_zero_and_both_ends_are_on_the_grid(kind: str, low: float, high: float) -> None:
    steps = activation_steps(low, high, kind)
    ends = np.array([0.0, min(low, 0), max(high, 0)], np.float32)
    assert steps.rounded(ends)[0] == 0
    assert np.abs(steps.rounded(ends) - ends).max() <= float(steps.scale) / 2 + 1e-6


def test_the_same_values_in_both_kinds() -> None:
    values = np.linspace(-1, 3, 97, dtype=np.float32)
    first, second = (activation_steps(-1, 3, kind) for kind in ("uint8", "int8"))
    assert np.array_equal(first.whole(values) - 128, second.whole(values))
    assert np.array_equal(first.rounded(values), second.rounded(values))


def test_what_lies_outside_is_clipped() -> None:
    steps = activation_steps(0, 1, "uint8")
    assert steps.whole(np.array([-5.0, 5.0], np.float32)).tolist() == [0, 255]


def test_a_tensor_of_zeros_has_a_scale() -> None:
    assert activation_steps(0, 0, "uint8").rounded(np.zeros(3, np.float32)).tolist() == [0, 0, 0]
    assert weight_steps(np.zeros((2, 3), np.float32), 0).scale.tolist() == [1, 1]


@pytest.mark.parametrize("limit", [127, 63])
def test_every_channel_of_weights_has_its_own_largest_number(limit: int) -> None:
    weights = np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32) * np.logspace(-3, 3, 5)[
        :, None, None, None
    ].astype(np.float32)
    whole = weight_steps(weights, 0, limit).whole(weights)
    assert np.abs(whole).max(axis=(1, 2, 3)).tolist() == [limit] * 5
    assert np.abs(weight_steps(weights, None, limit).whole(weights)).max(axis=(1, 2, 3)).tolist()[0] == 0
