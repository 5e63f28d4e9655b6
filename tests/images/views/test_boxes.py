import numpy as np
import pytest

from edgekd.images.views.boxes import ONE, BoxShape, fill
from edgekd.images.views.counter import random_bits


def test_a_box_of_the_whole_area_and_even_aspect_is_the_canvas() -> None:
    heights, widths = BoxShape(1.0, 1.0, 1.0).sides(random_bits(0, 0, np.arange(5), 2), 32)
    assert set(heights.tolist()) == set(widths.tolist()) == {32 * ONE}


def test_a_quarter_of_the_area_is_half_the_side() -> None:
    heights, widths = BoxShape(0.25, 0.25, 1.0).sides(random_bits(0, 0, np.arange(5), 2), 32)
    assert set(heights.tolist()) == set(widths.tolist()) == {16 * ONE}


def test_aspects_are_as_often_tall_as_wide() -> None:
    heights, widths = BoxShape(0.1, 0.1, 3.0).sides(random_bits(0, 0, np.arange(20_000), 2), 64)
    logarithm = np.log(widths / heights)
    assert abs(logarithm.mean()) < 0.02 and np.abs(logarithm).max() == pytest.approx(np.log(3), abs=0.01)


def test_the_smallest_box_is_a_pixel() -> None:
    heights, widths = BoxShape(0.0, 0.0, 1.0).sides(random_bits(0, 0, np.arange(3), 2), 8)
    assert set(heights.tolist()) == set(widths.tolist()) == {ONE}


@pytest.mark.parametrize("channels", [1, 3])
def test_boxes_show_the_other_image_and_nothing_else_does(channels: int) -> None:
    own, other = np.zeros((2, 8, 8, channels), np.uint8), np.full((2, 8, 8, channels), 9, np.uint8)
    filled = fill(own, np.array([[1, 4, 2, 7], [0, 0, 0, 0]]), other)
    assert (filled[0, 1:4, 2:7] == 9).all() and filled[0].sum() == 9 * 3 * 5 * channels
    assert not filled[1].any() and not own.any()


def test_a_box_can_have_one_colour() -> None:
    colour = np.array([[[[1, 2, 3]]]], np.uint8)
    filled = fill(np.zeros((1, 8, 8, 3), np.uint8), np.array([[0, 2, 5, 8]]), colour)
    assert (filled[0, :2, 5:] == [1, 2, 3]).all() and filled.sum() == 6 * 6
