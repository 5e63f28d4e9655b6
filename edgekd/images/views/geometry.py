"""Where a view's pixels come from: shifts, zooms and turns of canvases, in integers alone."""

import numpy as np
from numpy.typing import NDArray

from edgekd.images.views.boxes import ONE


def render(canvases: NDArray[np.uint8], parameters: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Shifted, mirrored at the edges, then flipped: `[n, side, side, channels]` to the same shape, exactly.

    `parameters` [n, 3]: pixels down, pixels right, flip.
    """
    side = canvases.shape[1]
    places = np.arange(side)
    down, right, flip = parameters[:, :1], parameters[:, 1:2], parameters[:, 2:]
    rows = _reflect(places - down, side)
    columns = _reflect(np.where(flip == 1, side - 1 - places, places) - right, side)
    return _take(canvases, rows[:, :, None], columns[:, None, :])


def zoom(canvases: NDArray[np.uint8], boxes: NDArray[np.int64], flip: NDArray[np.int64]) -> NDArray[np.uint8]:
    """A box of each canvas enlarged to the whole of it (bilinear), then flipped where `flip` [n] is 1.

    `boxes` [n, 4]: top, left, height and width in 65536ths of a pixel.
    """
    count, side, _, channels = canvases.shape
    rows = _spread(boxes[:, 0:1], boxes[:, 2:3], side)
    columns = _spread(boxes[:, 1:2], boxes[:, 3:4], side)
    columns = np.where(flip[:, None] == 1, columns[:, ::-1], columns)
    lines = canvases.reshape(count * side, side * channels)
    above = (rows >> 16) + np.arange(count)[:, None] * side
    below = above + (rows < (side - 1) * ONE)
    tall = blend(lines.take(below, axis=0), lines.take(above, axis=0), _weight(rows)[:, :, None])
    tall = tall.reshape(canvases.shape)
    every, left = np.arange(side)[None, :, None], (columns >> 16)[:, None, :]
    right = left + (columns < (side - 1) * ONE)[:, None, :]
    return _between(_take(tall, every, right), _take(tall, every, left), _weight(columns)[:, None, :])


def turn(canvases: NDArray[np.uint8], matrices: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Turned or sheared about the middle (bilinear), mirrored at the edges.

    `matrices` [n, 4] in 65536ths say where a pixel comes from: down = m0 * down + m1 * right, right = m2 * down +
    m3 * right; both from the middle.
    """
    side = canvases.shape[1]
    last = side - 1
    halves = 2 * np.arange(side) - last
    down, right = halves[None, :, None], halves[None, None, :]
    m = matrices[:, :, None, None]
    # places from the middle are in half pixels, hence the shift by one
    rows = (m[:, 0] * down + m[:, 1] * right + last * ONE) >> 1
    columns = (m[:, 2] * down + m[:, 3] * right + last * ONE) >> 1
    above, left = rows >> 16, columns >> 16
    ends = [[_reflect(place + step, side) for step in (0, 1)] for place in (above, left)]
    weight = _weight(columns)
    upper, lower = (_between(_take(canvases, y, ends[1][1]), _take(canvases, y, ends[1][0]), weight) for y in ends[0])
    return _between(lower, upper, _weight(rows))


def _between(own: NDArray[np.uint8], other: NDArray[np.uint8], weight: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """`blend` with a weight for each pixel, `[n, side or 1, side]`."""
    # lines of whole rows, since numpy is slow where the last axis is only the channels
    count, side, _, channels = own.shape
    lines = (count, side, side * channels)
    weights = np.repeat(weight, channels, axis=2)
    return blend(own.reshape(lines), other.reshape(lines), weights).reshape(own.shape)


def blend(own: NDArray[np.uint8], other: NDArray[np.uint8], weight: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """(own * weight + other * (256 - weight) + 128) >> 8; `weight` is 0 to 256, so 16 bits hold all of it."""
    mixed = own * weight
    mixed += other * (np.uint16(256) - weight)
    mixed += np.uint16(128)
    mixed >>= np.uint16(8)
    return mixed.astype(np.uint8)


def _weight(places: NDArray[np.int64]) -> NDArray[np.uint16]:
    """How much of the pixel behind a place shows there, 0 to 255."""
    return ((places >> 8) & 255).astype(np.uint16)


def _spread(start: NDArray[np.int64], length: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Places of `side` pixels' middles over a stretch, kept on the canvas, in 65536ths, `[n, side]`."""
    odd = 2 * np.arange(side) + 1
    return np.clip(start + (odd * length - side * ONE) // (2 * side), 0, (side - 1) * ONE)


def _take(canvases: NDArray[np.uint8], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The pixels at `rows` and `columns`, which broadcast to `[n, side, side]`."""
    count, side, _, channels = canvases.shape
    lines = (rows + np.arange(count)[:, None, None] * side) * side
    # "clip" never clips here: it only spares numpy the buffered bounds check
    taken: NDArray[np.uint8] = canvases.reshape(-1, channels).take((lines + columns).reshape(-1), axis=0, mode="clip")
    return taken.reshape(canvases.shape)


def _reflect(places: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    last = side - 1
    reflected: NDArray[np.int64] = last - np.abs(last - np.abs(places))
    return reflected
