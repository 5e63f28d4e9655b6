"""Random erasing (Zhong et al. 2017, arXiv 1708.04896): a box filled with the image's own mean colour."""

import numpy as np
from numpy.typing import NDArray

from edgekd.images.views.boxes import ONE, BoxShape, fill
from edgekd.images.views.counter import below, happens

WORDS = 5
"""Random words a box needs."""
_SHAPE = BoxShape(least=0.02, largest=1 / 3, aspect=10 / 3)


def draw_boxes(bits: NDArray[np.uint64], probability: float, side: int) -> NDArray[np.int64]:
    """Top, bottom, left and right in pixels `[n, 4]`; empty where nothing is erased. Needs words `[n, 5]`."""
    heights, widths = (((each + ONE // 2) >> 16) for each in _SHAPE.sides(bits[:, 1:3], side))
    top = below(bits[:, 3], side - heights + 1)
    left = below(bits[:, 4], side - widths + 1)
    boxes = np.stack([top, top + heights, left, left + widths], axis=1)
    return boxes * happens(bits[:, :1], probability)


def erase(canvases: NDArray[np.uint8], boxes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Boxes filled with the mean of each channel, rounded; changes `canvases` and returns it."""
    rows = np.flatnonzero(boxes[:, 1] > boxes[:, 0])
    chosen = canvases[rows]
    count, side, _, channels = chosen.shape
    total = chosen.reshape(count, side, side * channels).sum(axis=1, dtype=np.uint32)
    total = total.reshape(count, side, channels).sum(axis=1, dtype=np.int64)
    mean = ((2 * total + side * side) // (2 * side * side)).astype(np.uint8)
    canvases[rows] = fill(chosen, boxes[rows], mean[:, None, None])
    return canvases
