"""Simple corruptions of canvases, after Hendrycks and Dietterich (2019), each in three strengths."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from edgekd.images.imageset import Pixels

Canvas = NDArray[np.uint8]


def _noise(canvas: Canvas, strength: float, row: int) -> Canvas:
    """Gaussian noise of this standard deviation, as a share of the range."""
    drawn = np.random.default_rng(row).normal(0, strength * 255, canvas.shape)
    return _clipped(canvas + drawn)


def _blur(canvas: Canvas, strength: float, _: int) -> Canvas:
    """Gaussian blur of this radius, as a share of the side."""
    return _array(_image(canvas).filter(ImageFilter.GaussianBlur(strength * canvas.shape[0])), canvas)


def _scale(canvas: Canvas, strength: float, _: int) -> Canvas:
    """Every value times `strength`."""
    return _clipped(canvas * strength)


def _jpeg(canvas: Canvas, strength: float, _: int) -> Canvas:
    """Compressed at this quality."""
    stream = io.BytesIO()
    _image(canvas).save(stream, "JPEG", quality=int(strength))
    return _array(Image.open(stream), canvas)


def _clipped(values: NDArray[np.floating]) -> Canvas:
    found: Canvas = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return found


def _image(canvas: Canvas) -> Image.Image:
    return Image.fromarray(canvas[..., 0] if canvas.shape[-1] == 1 else canvas)


def _array(image: Image.Image, like: Canvas) -> Canvas:
    return np.asarray(image, np.uint8).reshape(like.shape)


KINDS: dict[str, tuple[Callable[[Canvas, float, int], Canvas], tuple[float, float, float], str]] = {
    "noise": (_noise, (0.04, 0.08, 0.16), "standard deviation, share of the range"),
    "blur": (_blur, (0.015, 0.03, 0.06), "radius, share of the side"),
    "brighter": (_scale, (1.3, 1.6, 2.0), "factor"),
    "darker": (_scale, (0.7, 0.45, 0.25), "factor"),
    "jpeg": (_jpeg, (50, 25, 10), "quality"),
}
"""Each kind's function, its three strengths from weak to strong, and what they are."""


@dataclass(frozen=True)
class Corrupted:
    """Pixels that are corrupted when they are requested; the same row always in the same way."""

    pixels: Pixels
    kind: str
    strength: float

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Images, side, side, channels."""
        return self.pixels.shape

    def gather(self, rows: NDArray[np.int64]) -> Canvas:
        """The corrupted canvases of these rows."""
        change = KINDS[self.kind][0]
        plain = self.pixels.gather(rows)
        pairs = zip(plain, rows.tolist(), strict=True)
        return np.stack([change(canvas, self.strength, row) for canvas, row in pairs]) if len(rows) else plain
