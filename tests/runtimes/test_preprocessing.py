"""The numpy path from canvas to input."""

import numpy as np
import pytest

from edgekd.runtimes.preprocessing import feed_of, prepare, triangle_weights
from edgekd.runtimes.runtime import Port


def test_equal_sizes_are_not_resized() -> None:
    assert np.array_equal(triangle_weights(5, 5), np.eye(5, dtype=np.float32))


def test_halving_by_hand() -> None:
    # centre at 1: distances .5 .5 1.5 over a width of 2 weigh .75 .75 .25, over their sum 1.75
    assert triangle_weights(4, 2)[0] == pytest.approx([3 / 7, 3 / 7, 1 / 7, 0])


def test_weights_of_every_pixel_sum_to_one() -> None:
    assert triangle_weights(40, 17).sum(axis=1) == pytest.approx(np.ones(17))


def test_a_flat_canvas_stays_flat() -> None:
    found = prepare(np.full((1, 8, 8, 3), 255, np.uint8), 5, [0.5, 0.5, 0.0], [0.25, 0.5, 1.0])
    assert found.shape == (1, 3, 5, 5)
    assert found.mean(axis=(0, 2, 3)) == pytest.approx([2.0, 1.0, 1.0])


def test_grey_is_repeated_for_three_channels() -> None:
    found = prepare(np.zeros((2, 4, 4, 1), np.uint8), 4, [0.1, 0.2, 0.3], [1.0, 1.0, 1.0])
    assert found.shape == (2, 3, 4, 4)
    assert found[0, :, 0, 0] == pytest.approx([-0.1, -0.2, -0.3])


@pytest.mark.parametrize("size", [17, 32, 40, 64])
def test_it_computes_what_torch_does(size: int) -> None:
    torch = pytest.importorskip("torch")
    canvases = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)
    pixels = torch.from_numpy(canvases).permute(0, 3, 1, 2).float()
    if size != 40:
        pixels = torch.nn.functional.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
    expected = ((pixels / 255 - 0.5) / 0.25).numpy()
    assert np.abs(prepare(canvases, size, [0.5] * 3, [0.25] * 3) - expected).max() < 1e-5


RECORD = {"input_size": 8, "mean": [0.5] * 3, "std": [0.25] * 3}
CANVAS = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)


def test_a_model_of_bytes_gets_the_pixels_themselves() -> None:
    for shape, axes in (((None, 3, 8, 8), (0, 3, 1, 2)), ((None, 8, 8, 3), (0, 1, 2, 3))):
        found = feed_of(CANVAS, RECORD, Port("x", shape, "uint8"))
        assert found.dtype == np.uint8 and (found == CANVAS.transpose(axes)).all()


def test_the_record_says_who_normalises() -> None:
    given = Port("x", (None, 3, 8, 8), "float32")
    plain = CANVAS.transpose(0, 3, 1, 2).astype(np.float32)
    np.testing.assert_allclose(feed_of(CANVAS, RECORD | {"normalises": True}, given), plain, atol=1e-4)
    np.testing.assert_allclose(feed_of(CANVAS, RECORD, given), (plain / 255 - 0.5) / 0.25, atol=1e-5)


def test_the_number_format_is_the_model_s() -> None:
    assert feed_of(CANVAS, RECORD, Port("x", (None, 3, 8, 8), "float16")).dtype == np.float16
