import numpy as np
import pytest
from PIL import Image

from edgekd.images.views.boxes import ONE
from edgekd.images.views.geometry import blend, turn, zoom

WHOLE = [0, 0, 16 * ONE, 16 * ONE]


def canvases(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (10, 16, 16, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_box_of_the_whole_canvas_is_the_canvas(channels: int) -> None:
    images = canvases(channels)
    shown = zoom(images, np.tile(WHOLE, (10, 1)), np.arange(10) % 2)
    assert np.array_equal(shown[::2], images[::2])
    assert np.array_equal(shown[1::2], images[1::2, :, ::-1])


def test_zooming_agrees_with_pillow() -> None:
    images = canvases()
    box = np.tile([3 * ONE + 777, 2 * ONE, 10 * ONE, 8 * ONE], (10, 1))
    shown = zoom(images, box, np.zeros(10, np.int64))
    place = (2, 3 + 777 / ONE, 10, 13 + 777 / ONE)
    resized = [Image.fromarray(each).resize((16, 16), Image.Resampling.BILINEAR, box=place) for each in images]
    # Pillow reads beyond the box at its edges, which are therefore left out
    assert np.abs(shown.astype(int) - np.stack(resized))[:, 2:-2, 2:-2].max() <= 2


@pytest.mark.parametrize("channels", [1, 3])
def test_no_turn_leaves_the_canvas(channels: int) -> None:
    images = canvases(channels)
    assert np.array_equal(turn(images, np.tile([ONE, 0, 0, ONE], (10, 1))), images)


def test_a_quarter_turn_moves_whole_pixels() -> None:
    images = canvases()
    assert np.array_equal(turn(images, np.tile([0, ONE, -ONE, 0], (10, 1))), np.rot90(images, 1, (1, 2)))


def test_a_turn_and_its_opposite_nearly_cancel_in_a_smooth_image() -> None:
    slope = np.add.outer(np.arange(16), 2 * np.arange(16)).astype(np.uint8)[None, :, :, None]
    there, back = (np.array([[64104, sine, -sine, 64104]]) for sine in (13626, -13626))
    again = turn(turn(slope, there), back)
    assert np.abs(again.astype(int) - slope)[:, 5:-5, 5:-5].max() <= 2


def test_each_canvas_has_its_own_matrix() -> None:
    images = canvases()
    matrices = np.stack([np.full(10, ONE), np.arange(10) * 2000, np.arange(10) * -900, np.full(10, ONE)], axis=1)
    alone = np.concatenate([turn(images[i : i + 1], matrices[i : i + 1]) for i in range(10)])
    assert np.array_equal(turn(images, matrices), alone)


def test_blending_is_exact_at_both_ends_and_rounds_between() -> None:
    own, other = canvases()[:1], canvases()[1:2]
    for weight, expected in ((256, own), (0, other)):
        assert np.array_equal(blend(own, other, np.full((1, 1, 1, 1), weight, np.uint16)), expected)
    white = np.full((1, 1, 1, 1), 255, np.uint8)
    weights = np.arange(257, dtype=np.uint16)[:, None, None, None]
    assert (blend(white, white, weights) == 255).all()
