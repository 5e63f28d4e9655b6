"""Random boxes of a canvas: by share of its area and aspect, drawn in integers."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edgekd.images.views.counter import below

ONE = 1 << 16
"""The fixed point: positions are in 65536ths of a pixel, shares in 65536ths."""
_STEPS = 256


@lru_cache(maxsize=4)
def _aspects(most: float) -> NDArray[np.int64]:
    """Aspects from 1/most to most, even on the logarithm, in 65536ths; entry k times entry 255 - k is 1."""
    exponents = [(2 * step + 1) / _STEPS - 1.0 for step in range(_STEPS)]
    return np.array([round(math.exp(each * math.log(most)) * ONE) for each in exponents], np.int64)


@dataclass(frozen=True)
class BoxShape:
    """Which boxes are drawn: the least and the largest share of the area, and the largest aspect either way."""

    least: float
    largest: float
    aspect: float

    def sides(self, bits: NDArray[np.uint64], side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Heights and widths `[len(bits)]`, in 65536ths of a pixel, from 1 pixel to the canvas; two words each."""
        least, largest = round(self.least * ONE), round(self.largest * ONE)
        area = (least + below(bits[:, 0], largest - least + 1)) * (side * side)
        aspects = _aspects(self.aspect)
        chosen = below(bits[:, 1], _STEPS)
        return _root(area * aspects[_STEPS - 1 - chosen], side), _root(area * aspects[chosen], side)


def _root(area: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    # IEEE 754 rounds square roots exactly, so this is the same everywhere
    return np.clip(np.sqrt(area.astype(np.float64)).astype(np.int64), ONE, side * ONE)


def fill(canvases: NDArray[np.uint8], boxes: NDArray[np.int64], others: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The canvases with what `others` show in the boxes; `others` may be one pixel each, `[n, 1, 1, channels]`.

    `boxes` [n, 4] are top, bottom, left and right in pixels.
    """
    count, side, _, channels = canvases.shape
    places, steps = np.arange(side), np.repeat(np.arange(side), channels)
    rows = (places >= boxes[:, 0:1]) & (places < boxes[:, 1:2])
    columns = (steps >= boxes[:, 2:3]) & (steps < boxes[:, 3:4])
    # lines of whole rows, since numpy is slow where the last axis is only the channels
    lines = canvases.reshape(count, side, side * channels)
    inside = np.where(rows[:, :, None] & columns[:, None, :], _lines(others, side), lines)
    return inside.reshape(canvases.shape)


def _lines(others: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    if others.shape[1] == side:
        return others.reshape(len(others), side, side * others.shape[3])
    return np.tile(others[:, 0], (1, 1, side))
