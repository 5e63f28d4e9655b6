import math

import numpy as np
import pytest

from edgekd.images.views.counter import random_bits
from edgekd.images.views.randaugment import OPERATIONS, draw_operations, operate

MILD = ("rotate", "solarize", "color", "posterize", "contrast", "brightness", "sharpness")
MOVES = ("shear-x", "shear-y", "translate-x", "translate-y")


def canvases(channels: int = 3, count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 16, 16, channels), dtype=np.uint8)


SIGNS = np.array([-1, 1])


def test_the_operations_are_the_papers() -> None:
    assert len(OPERATIONS) == 14 and list(OPERATIONS)[0] == "identity"


@pytest.mark.parametrize("name", (*MILD, *MOVES))
def test_magnitude_0_leaves_the_image(name: str) -> None:
    assert np.array_equal(OPERATIONS[name](canvases(), SIGNS, 0), canvases())


@pytest.mark.parametrize("magnitude", range(11))
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_operation_keeps_the_shape(name: str, magnitude: int, channels: int) -> None:
    images = canvases(channels)
    changed = OPERATIONS[name](images, SIGNS, magnitude)
    assert changed.shape == images.shape and changed.dtype == np.uint8


@pytest.mark.parametrize("name", ["rotate", "brightness", *MOVES])
def test_the_sign_is_the_direction(name: str) -> None:
    same = np.concatenate([canvases(count=1)] * 2)
    one, other = OPERATIONS[name](same, SIGNS, 5)
    assert not np.array_equal(one, other)


def test_a_translation_moves_by_its_share_of_the_side() -> None:
    images = canvases()
    right = OPERATIONS["translate-x"](images, np.array([1, 1]), 5)
    assert np.array_equal(right[:, :, 4:], images[:, :, :-4])


def test_a_shear_keeps_its_own_axis() -> None:
    rows = np.broadcast_to(np.arange(16, dtype=np.uint8)[None, :, None, None] * 10, (2, 16, 16, 1)).copy()
    columns = rows.transpose(0, 2, 1, 3).copy()
    assert np.array_equal(OPERATIONS["shear-x"](rows, SIGNS, 9), rows)
    assert np.array_equal(OPERATIONS["shear-y"](columns, SIGNS, 9), columns)


def test_the_largest_rotation_is_30_degrees() -> None:
    far = np.zeros((1, 101, 101, 1), np.uint8)
    far[0, 49:52, 88:93] = 255
    down, right, _ = (each.mean() - 50 for each in np.nonzero(OPERATIONS["rotate"](far, np.array([1]), 10)[0]))
    assert abs(math.degrees(math.atan2(down, right))) == pytest.approx(30, abs=1)


def test_operations_and_signs_are_even() -> None:
    chosen = draw_operations(random_bits(0, 0, np.arange(28_000), 2))
    counts = np.bincount(chosen[:, 0], minlength=14)
    assert counts.min() > 1_850 and counts.max() < 2_150 and abs(chosen[:, 1].mean()) < 0.03


def test_each_canvas_gets_its_own_operation() -> None:
    images = canvases(count=14)
    chosen = np.stack([np.arange(14), np.ones(14, np.int64)], axis=1)
    alone = [operation(images[[i]], np.array([1]), 5)[0] for i, operation in enumerate(OPERATIONS.values())]
    assert np.array_equal(operate(images, chosen, 5), np.stack(alone))
