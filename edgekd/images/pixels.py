"""The places canvases come from; each is an `imageset.Pixels`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekd.images.imageset import Pixels

Shape = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Array:
    """Canvases in memory or in a mapped file, `[n, side, side, channels]`."""

    array: NDArray[np.uint8]

    @property
    def shape(self) -> Shape:
        """Images, side, side, channels."""
        count, side, _, channels = self.array.shape
        return count, side, side, channels

    def gather(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The canvases of these rows."""
        return self.array[rows]


@dataclass(frozen=True, eq=False)
class Rows:
    """Chosen rows of other pixels, numbered anew from 0."""

    pixels: Pixels
    rows: NDArray[np.int64]

    @property
    def shape(self) -> Shape:
        """Images, side, side, channels."""
        return len(self.rows), *self.pixels.shape[1:]

    def gather(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The canvases of these rows."""
        return self.pixels.gather(self.rows[rows])


@dataclass(frozen=True, eq=False)
class Joined:
    """The rows of `first`, then those of `second`; both have the same canvas."""

    first: Pixels
    second: Pixels

    @property
    def shape(self) -> Shape:
        """Images, side, side, channels."""
        return self.first.shape[0] + self.second.shape[0], *self.first.shape[1:]

    def gather(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The canvases of these rows."""
        border = self.first.shape[0]
        canvases = np.empty((len(rows), *self.shape[1:]), np.uint8)
        later = rows >= border
        canvases[~later] = self.first.gather(rows[~later])
        canvases[later] = self.second.gather(rows[later] - border)
        return canvases


def choose(pixels: Pixels, rows: NDArray[np.int64]) -> Pixels:
    """Only these rows; consecutive ones of an array cost nothing."""
    first = int(rows[0]) if len(rows) else 0
    if np.array_equal(rows, np.arange(first, first + len(rows))):
        if len(rows) == pixels.shape[0]:
            return pixels
        if isinstance(pixels, Array):
            return Array(pixels.array[first : first + len(rows)])
    return Rows(pixels, rows)
