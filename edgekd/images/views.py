"""Views of a canvas: shift with reflection and left-right flip, each a pure function of (seed, view, index)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.images.counter import below, random_bits

VERSION = 1
"""Raised when the same recipe would render other pixels; it is part of every cache's fingerprint."""


@dataclass(frozen=True)
class ViewRecipe:
    """How images are varied: shifts of up to `crop` of the side in both directions, and flips."""

    crop: float
    flip: bool
    seed: int

    def parameters(self, view: int, index: NDArray[np.int64], side: int) -> NDArray[np.int64]:
        """Shift down, shift right (pixels, either sign) and flip (0 or 1) of each image, `[len(index), 3]`."""
        reach = min(round(self.crop * side), side - 1)
        bits = random_bits(self.seed, view, index, 3)
        chosen = below(bits, 2 * reach + 1) - reach
        chosen[:, 2] = below(bits[:, 2], 2) if self.flip else 0
        return chosen

    def describe(self) -> dict[str, Any]:
        """Everything the rendered pixels depend on, for fingerprints."""
        return {"version": VERSION, "crop": self.crop, "flip": self.flip, "seed": self.seed}


def render(canvases: NDArray[np.uint8], parameters: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Shifted, mirrored at the edges, then flipped: `[n, side, side, channels]` to the same shape, exactly."""
    count, side, _, channels = canvases.shape
    places = np.arange(side)
    down, right, flip = parameters[:, :1], parameters[:, 1:2], parameters[:, 2:]
    rows = _reflect(places - down, side)
    columns = _reflect(np.where(flip == 1, side - 1 - places, places) - right, side)
    lines = (rows + np.arange(count)[:, None] * side) * side
    pixels = (lines[:, :, None] + columns[:, None, :]).reshape(-1)
    # "clip" never clips here: it only spares numpy the buffered bounds check
    taken: NDArray[np.uint8] = canvases.reshape(-1, channels).take(pixels, axis=0, mode="clip")
    return taken.reshape(canvases.shape)


def _reflect(places: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    last = side - 1
    reflected: NDArray[np.int64] = last - np.abs(last - np.abs(places))
    return reflected
