import numpy as np
import pytest

from edgekd.images.views.counter import random_bits
from edgekd.images.views.erasing import WORDS, draw_boxes, erase

BITS = random_bits(0, 0, np.arange(10_000), WORDS)


def test_as_many_are_erased_as_asked_for() -> None:
    boxes = draw_boxes(BITS, 0.25, 32)
    assert np.mean(boxes[:, 1] > boxes[:, 0]) == pytest.approx(0.25, abs=0.02)
    assert not draw_boxes(BITS, 0.0, 32).any()


def test_boxes_lie_on_the_canvas_and_have_2_to_34_percent_of_it() -> None:
    top, bottom, left, right = draw_boxes(BITS, 1.0, 32).T
    assert min(top.min(), left.min()) == 0 and max(bottom.max(), right.max()) == 32
    share = (bottom - top) * (right - left) / 32**2
    assert share.min() > 0.01 and share.max() < 0.36 and share.mean() == pytest.approx(0.175, abs=0.01)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_box_gets_the_images_own_mean_colour(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, channels), dtype=np.uint8)
    mean = np.floor(images.mean(axis=(1, 2)) + 0.5)
    erased = erase(images.copy(), np.array([[2, 5, 1, 4], [0, 0, 0, 0]]))
    assert (erased[0, 2:5, 1:4] == mean[0]).all()
    assert np.array_equal(erased[1], images[1]) and np.array_equal(erased[0, 5:], images[0, 5:])


def test_no_box_in_a_batch_is_no_change() -> None:
    images = np.ones((3, 8, 8, 3), np.uint8)
    assert np.array_equal(erase(images.copy(), np.zeros((3, 4), np.int64)), images)
