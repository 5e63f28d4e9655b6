"""The pictures of `shapes`: ten outlines drawn by code, the same scene at every canvas and on every platform.

Only + - * / sqrt, floor and comparisons on float32 (exact by IEEE 754), no sums over arrays, and angles from a table
of integers: so no platform's mathematical library or vector width changes a pixel.
"""

import math

import numpy as np
from numpy.typing import NDArray

from edgekd.images.views.counter import below, random_bits

CLASSES = (
    "circle", "crescent", "cross", "ellipse", "hexagon", "pentagon", "square", "star5", "star6", "triangle",
)  # fmt: skip
TILT = 0.3
"""Share of a turn that shapes may be turned by, half of it either way."""
VERSION = 1
"""Raised when the same index would give another picture."""

Plane = NDArray[np.float32]
"""Numbers of a chunk of images, `[n, side, side]` or what spreads to it; colours have one more axis of 3."""

_SEED = 20_260_101
_CHUNK = 128
_SLOTS = 128
_TURN = 1 << 12
_UNIT = 1 << 14
_SINES: Plane = np.array(
    [round(math.sin(math.tau * step / _TURN) * _UNIT) / _UNIT for step in range(_TURN)], np.float32
)

_POLYGONS = {
    "triangle": (3, 1, 0.78),
    "square": (4, 1, 0.886),
    "pentagon": (5, 1, 0.93),
    "hexagon": (6, 1, 0.952),
    "star5": (5, 2, 0.46),
    "star6": (6, 2, 0.68),
}
"""Number of edge lines, which of the sorted distances counts, distance of the lines from the centre."""


def draw(split: int, index: NDArray[np.int64], side: int) -> NDArray[np.uint8]:
    """These images of a split (0 train, 1 test) as canvases `[len(index), side, side, 3]`."""
    parts = np.array_split(index, -(-len(index) // _CHUNK))
    return np.concatenate([_paint(split, part, side) for part in parts])


def targets_of(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """The classes of these images: they take turns."""
    return index % len(CLASSES)


class _Dice:
    """Uniform numbers of a chunk of images, fresh ones at each call."""

    def __init__(self, split: int, index: NDArray[np.int64]) -> None:
        self._words = random_bits(_SEED, split, index, _SLOTS)
        self._next = 0

    def _take(self, width: int) -> NDArray[np.uint64]:
        self._next += width
        return self._words[:, self._next - width : self._next]

    def number(self, low: float, high: float) -> Plane:
        """Uniform in [low, high), `[n, 1, 1]`."""
        return self.colour(low, high, 1)[..., 0]

    def colour(self, low: float, high: float, width: int = 3) -> Plane:
        """Uniform in [low, high), `[n, 1, 1, width]`."""
        unit = (self._take(width) >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)
        spread: Plane = unit * np.float32(high - low) + np.float32(low)
        return spread[:, None, None, :]

    def choice(self, count: int) -> NDArray[np.int64]:
        """One of `count`, `[n]`."""
        return below(self._take(1)[:, 0], count)

    def direction(self, share: float = 1.0) -> tuple[Plane, Plane]:
        """Cosine and sine of an angle, uniform in `share` of a turn around 0, `[n, 1, 1]` each."""
        steps = int(_TURN * share)
        step = (self.choice(steps) - steps // 2)[:, None, None]
        return _cosine(step), _sine(step)


def _sine(step: NDArray[np.int64]) -> Plane:
    sine: Plane = _SINES[step % _TURN]
    return sine


def _cosine(step: NDArray[np.int64]) -> Plane:
    return _sine(step + _TURN // 4)


def _paint(split: int, index: NDArray[np.int64], side: int) -> NDArray[np.uint8]:
    """Ground, small distractors, the shape, a bar in half of the pictures, then light and grain."""
    dice = _Dice(split, index)
    places = (np.arange(side, dtype=np.float32) * 2 + 1) / np.float32(side) - 1
    x, y = places[None, None, :], places[None, :, None]
    soft = np.float32(2 / side) + dice.number(0.0, 0.04)
    picture = _textured(dice, x, y, dice.colour(0.05, 0.5))
    for _ in range(2):
        cover = _cover(dice, dice.choice(len(CLASSES)), (0.10, 0.22, 1.0, 0.0), (x, y, soft))
        picture = _lay(picture, dice.colour(0.15, 0.85), cover)
    cover = _cover(dice, targets_of(index), (0.45, 0.75, 0.3, 0.2), (x, y, soft))
    picture = _lay(picture, _textured(dice, x, y, dice.colour(0.45, 0.95)), cover)
    picture = _lay(picture, dice.colour(0.15, 0.85), _bar(dice, x, y, soft))
    cosine, sine = dice.direction()
    picture = picture * (1 + (x * cosine + y * sine) * dice.number(0.0, 0.35))[..., None]
    picture = picture + _grain(split, index, side) * dice.number(0.02, 0.10)[..., None]
    return np.clip(np.floor(picture * 256), 0, 255).astype(np.uint8)


def _textured(dice: _Dice, x: Plane, y: Plane, colour: Plane) -> Plane:
    """A colour with two gratings of triangular waves over it, `[n, side, side, 3]`."""
    for _ in range(2):
        cosine, sine = dice.direction()
        phase = (x * cosine + y * sine) * dice.number(0.5, 5) + dice.number(0, 1)
        wave = np.abs(phase - np.floor(phase) - np.float32(0.5)) * 4 - 1
        colour = colour + wave[..., None] * dice.colour(-0.06, 0.06)
    return colour


def _lay(picture: Plane, colour: Plane, cover: Plane) -> Plane:
    laid: Plane = picture + (colour - picture) * cover[..., None]
    return laid


def _bar(dice: _Dice, x: Plane, y: Plane, soft: Plane) -> Plane:
    """How much of each pixel a bar across the picture covers; its width is negative in most pictures."""
    cosine, sine = dice.direction()
    distance = np.abs(x * cosine + y * sine + dice.number(-0.4, 0.4)) - dice.number(-0.2, 0.04)
    return _inside(distance, soft)


def _inside(distance: Plane, soft: Plane) -> Plane:
    """0-1 by the distance to an outline that is `soft` wide."""
    cover: Plane = np.clip(np.float32(0.5) - distance / soft, 0, 1)
    return cover


def _grain(split: int, index: NDArray[np.int64], side: int) -> Plane:
    """Noise of every pixel and channel: the sum of two bytes, -1 to 1."""
    grain = random_bits(_SEED + 1 + split, side, index, side * side)
    six = [((grain >> np.uint64(8 * place)) & np.uint64(255)).astype(np.float32) for place in range(6)]
    noise = np.stack([(six[place] + six[place + 3] - 255) / np.float32(255) for place in range(3)], axis=-1)
    return noise.astype(np.float32).reshape(len(index), side, side, 3)


def _cover(
    dice: _Dice,
    kinds: NDArray[np.int64],
    limits: tuple[float, float, float, float],
    at: tuple[Plane, Plane, Plane],
) -> Plane:
    """How much of each pixel a shape covers, 0-1; limits: radius from and to, reach of its centre, most of another."""
    smallest, largest, reach, blend = limits
    x, y, soft = at
    size = dice.number(smallest, largest)
    cosine, sine = dice.direction(TILT)
    dx, dy = x - dice.number(-reach, reach), y - dice.number(-reach, reach)
    squeeze = dice.number(0.95, 1.0) / size
    u, v = (dx * cosine + dy * sine) * squeeze, (dy * cosine - dx * sine) * squeeze
    distance = _distances(kinds, u, v)
    if blend:
        other = (kinds + 1 + dice.choice(len(CLASSES) - 1)) % len(CLASSES)
        share = dice.number(0.0, blend)
        distance = distance + (_distances(other, u, v) - distance) * share
    return _inside(distance * size, soft)


def _distances(kinds: NDArray[np.int64], u: Plane, v: Plane) -> Plane:
    """Distance of every pixel to the outline of its picture's shape."""
    distance = np.empty_like(u)
    for kind, name in enumerate(CLASSES):
        rows = np.flatnonzero(kinds == kind)
        if len(rows):
            distance[rows] = _distance(name, u[rows], v[rows])
    return distance


def _distance(name: str, u: Plane, v: Plane) -> Plane:
    """Distance to the outline of a shape of about the unit disc's area, negative inside."""
    if name in _POLYGONS:
        return _polygon(u, v, *_POLYGONS[name])
    if name == "cross":
        u, v = np.abs(u), np.abs(v)
        return np.maximum(np.minimum(u, v) - np.float32(0.42), np.maximum(u, v) - np.float32(1.15))
    if name == "ellipse":
        u, v = u * np.float32(0.72), v / np.float32(0.72)
    disc: Plane = np.sqrt(u * u + v * v) - 1
    if name == "crescent":
        bite: Plane = 1 - np.sqrt((u - np.float32(0.75)) * (u - np.float32(0.75)) + v * v)
        return np.maximum(disc, bite)
    return disc


def _polygon(u: Plane, v: Plane, lines: int, rank: int, inner: float) -> Plane:
    """A regular polygon is where no edge line is crossed; the star on the same lines, where at most one is."""
    largest = second = np.full_like(u, -np.inf)
    for line in range(lines):
        step = np.array(line * _TURN // lines)
        distance = u * _cosine(step) + v * _sine(step)
        second = np.maximum(second, np.minimum(largest, distance))
        largest = np.maximum(largest, distance)
    return (largest if rank == 1 else second) - np.float32(inner)
