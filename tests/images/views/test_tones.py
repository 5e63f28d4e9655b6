from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from edgekd.images.views import tones

FACTORS = [26, 128, 200, 256, 400, 486]


@pytest.fixture
def images() -> np.ndarray:
    """Noise, dark noise, one colour, one flat channel and a slope."""
    found = np.random.default_rng(0).integers(20, 230, (20, 32, 32, 3), dtype=np.uint8)
    found[10:] //= 4
    found[3], found[4, :, :, 0] = 7, 9
    found[5] = np.linspace(0, 255, 32).astype(np.uint8)[None, :, None]
    return found


def pillow(images: np.ndarray, change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(change(Image.fromarray(each))) for each in images])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (tones.autocontrast, ImageOps.autocontrast),
        (tones.equalize, ImageOps.equalize),
        (lambda images: tones.solarize(images, 100), lambda image: ImageOps.solarize(image, 100)),
        (lambda images: tones.posterize(images, 5), lambda image: ImageOps.posterize(image, 5)),
    ],
    ids=["autocontrast", "equalize", "solarize", "posterize"],
)
def test_tables_agree_with_pillow(images: np.ndarray, ours: Callable, theirs: Callable) -> None:
    assert np.array_equal(ours(images), pillow(images, theirs))
    grey = ours(images[..., :1])
    assert np.array_equal(grey[..., 0], pillow(images[..., 0], theirs))


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("name", ["brightness", "contrast", "color", "sharpness"])
def test_enhancements_agree_with_pillow_to_rounding(images: np.ndarray, name: str, factor: int) -> None:
    ours = getattr(tones, name)(images, np.full(len(images), factor))
    theirs = pillow(images, lambda image: getattr(ImageEnhance, name.capitalize())(image).enhance(factor / 256))
    assert np.abs(ours.astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("name", ["brightness", "contrast", "color", "sharpness"])
def test_the_factor_256_leaves_the_image(images: np.ndarray, name: str) -> None:
    for each in (images, images[..., :1]):
        assert np.array_equal(getattr(tones, name)(each, np.full(len(each), 256)), each)


def test_a_grey_canvas_has_no_colour_to_change(images: np.ndarray) -> None:
    assert np.array_equal(tones.color(images[..., :1], np.full(len(images), 26)), images[..., :1])


def test_a_threshold_above_all_tones_inverts_none(images: np.ndarray) -> None:
    assert np.array_equal(tones.solarize(images, 256), images)
    assert np.array_equal(tones.solarize(images, 0), 255 - images)
