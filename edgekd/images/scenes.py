"""The embedded data set: ten shape classes drawn by code, the same scenes at every canvas and on every platform.

Only + - * / sqrt, floor and comparisons on float32 (exact by IEEE 754), no sums over arrays, and angles from a table
of integers: so no platform's libm or vector width changes a pixel.
"""

import math

import numpy as np
from numpy.typing import NDArray

from edgekd.images.counter import random_bits

CLASSES = (
    "circle", "crescent", "cross", "ellipse", "hexagon", "pentagon", "square", "star5", "star6", "triangle",
)  # fmt: skip
VERSION = 1
"""Raised when the same index would give another picture."""

Plane = NDArray[np.float32]

_SEED = 20_260_101
_CHUNK = 128
_TURN = 1 << 12
_UNIT = 1 << 14
_SINES = np.array([round(math.sin(math.tau * step / _TURN) * _UNIT) for step in range(_TURN)], dtype=np.int64)
_DISTRACTORS = 3


def draw(split: int, index: NDArray[np.int64], side: int) -> NDArray[np.uint8]:
    """These images of a split (0 train, 1 test) as canvases `[len(index), side, side, 3]`."""
    return np.concatenate([_paint(split, part, side) for part in np.array_split(index, -(-len(index) // _CHUNK))])


def targets_of(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """The classes of these images: they take turns."""
    return index % len(CLASSES)


class _Dice:
    """Uniform numbers of a chunk of images, one fresh slot per call."""

    def __init__(self, split: int, index: NDArray[np.int64]) -> None:
        words = random_bits(_SEED, split, index, 128)
        self._values = (words >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)
        self._next = 0

    def roll(self, low: float, high: float, width: int = 1) -> Plane:
        """Uniform in [low, high), `[n, 1, 1, width]`; the last axis is dropped when width is 1."""
        taken = self._values[:, self._next : self._next + width]
        self._next += width
        spread = taken * np.float32(high - low) + np.float32(low)
        return spread[:, None, :] if width == 1 else spread[:, None, None, :]

    def angle(self) -> tuple[Plane, Plane]:
        """Cosine and sine of a uniform angle, `[n, 1, 1]` each."""
        step = (self.roll(0, 1) * np.float32(_TURN)).astype(np.int64)
        return _cosine(step), _sine(step)


def _sine(step: NDArray[np.int64]) -> Plane:
    return _SINES[step % _TURN].astype(np.float32) / np.float32(_UNIT)


def _cosine(step: NDArray[np.int64]) -> Plane:
    return _sine(step + _TURN // 4)


def _paint(split: int, index: NDArray[np.int64], side: int) -> NDArray[np.uint8]:
    dice = _Dice(split, index)
    places = (np.arange(side, dtype=np.float32) * 2 + 1) / np.float32(side) - 1
    x, y = places[None, None, :], places[None, :, None]
    pixel = np.float32(2 / side)
    ground = dice.roll(0.25, 0.75, 3)
    picture = _textured(dice, x, y, ground)
    soft = pixel + dice.roll(0.0, 0.04)
    for _ in range(_DISTRACTORS):
        kinds = (dice.roll(0, len(CLASSES)).astype(np.int64)).reshape(-1)
        size = dice.roll(0.10, 0.22)
        cover = _cover(dice, (kinds, size, soft, 1.0), x, y)
        picture = _lay(picture, dice.roll(0.15, 0.85, 3), cover)
    size = dice.roll(0.42, 0.65)
    cover = _cover(dice, (targets_of(index), size, soft, 0.35), x, y)
    shade = _apart(dice, ground)
    picture = _lay(picture, _textured(dice, x, y, shade), cover)
    picture = _lay(picture, dice.roll(0.15, 0.85, 3), _bar(dice, x, y, soft))
    cosine, sine = dice.angle()
    light = 1 + (x * cosine + y * sine) * dice.roll(0.0, 0.35)
    picture = picture * light[..., None]
    picture += _grain(split, index, side) * dice.roll(0.02, 0.10)[..., None]
    return np.clip(np.floor(picture * 256), 0, 255).astype(np.uint8)


def _apart(dice: _Dice, ground: Plane) -> Plane:
    """A colour away from the ground's in a random direction."""
    way = dice.roll(-1, 1, 3)
    length = np.sqrt(way[..., :1] ** 2 + way[..., 1:2] ** 2 + way[..., 2:] ** 2)
    return ground + way / np.maximum(length, np.float32(0.05)) * dice.roll(0.35, 0.7, 1)[..., None]


def _textured(dice: _Dice, x: Plane, y: Plane, colour: Plane) -> Plane:
    """A colour with two gratings of triangular waves over it, `[n, side, side, 3]`."""
    picture = np.broadcast_to(colour, (len(colour), y.shape[1], x.shape[2], 3))
    for _ in range(2):
        cosine, sine = dice.angle()
        rate = dice.roll(0.5, 5)
        wave = (x * cosine + y * sine) * rate + dice.roll(0, 1)
        wave = np.abs(wave - np.floor(wave) - np.float32(0.5)) * 4 - 1
        picture = picture + wave[..., None] * dice.roll(-0.05, 0.05, 3)
    return picture


def _lay(picture: Plane, colour: Plane, cover: Plane) -> Plane:
    return picture + (colour - picture) * cover[..., None]


def _bar(dice: _Dice, x: Plane, y: Plane, soft: Plane) -> Plane:
    """A thin bar across the picture in half of the images."""
    cosine, sine = dice.angle()
    distance = np.abs(x * cosine + y * sine + dice.roll(-0.4, 0.4)) - dice.roll(-0.12, 0.06)
    return np.clip(np.float32(0.5) - distance / soft, 0, 1)


def _grain(split: int, index: NDArray[np.int64], side: int) -> Plane:
    """Noise of every pixel and channel: the sum of two bytes, about -1 to 1."""
    grain = random_bits(_SEED + 1 + split, side, index, side * side).view(np.uint8)
    grain = grain.reshape(len(index), side, side, 8).astype(np.float32)
    return (grain[..., 0:3] + grain[..., 3:6] - 255) / np.float32(255)


def _cover(dice: _Dice, what: tuple[NDArray[np.int64], Plane, Plane, float], x: Plane, y: Plane) -> Plane:
    """How much of each pixel a shape covers, 0-1, `[n, side, side]`."""
    kinds, size, soft, reach = what
    cosine, sine = dice.angle()
    dx, dy = x - dice.roll(-reach, reach), y - dice.roll(-reach, reach)
    u, v = (dx * cosine + dy * sine) / size, (dy * cosine - dx * sine) / size
    squeeze = dice.roll(0.95, 1.0)
    u = u * squeeze
    v = v / squeeze
    distance = np.empty_like(u)
    for kind, name in enumerate(CLASSES):
        rows = np.flatnonzero(kinds == kind)
        if len(rows):
            distance[rows] = _distance(name, u[rows], v[rows])
    return np.clip(np.float32(0.5) - distance * size / soft, 0, 1)


def _distance(name: str, u: Plane, v: Plane) -> Plane:
    """Distance to the outline of a shape of about the unit disc's area, negative inside."""
    if name in _POLYGONS:
        return _polygon(u, v, *_POLYGONS[name])
    if name == "cross":
        u, v = np.abs(u), np.abs(v)
        return np.maximum(np.minimum(u, v) - np.float32(0.42), np.maximum(u, v) - np.float32(1.15))
    if name == "ellipse":
        u, v = u * np.float32(0.72), v / np.float32(0.72)
    disc = np.sqrt(u * u + v * v) - 1
    if name == "crescent":
        shifted = u - np.float32(0.75)
        return np.maximum(disc, 1 - np.sqrt(shifted * shifted + v * v))
    return disc


_POLYGONS = {
    "triangle": (3, 1, 0.78),
    "square": (4, 1, 0.886),
    "pentagon": (5, 1, 0.93),
    "hexagon": (6, 1, 0.952),
    "star5": (5, 2, 0.52),
    "star6": (6, 2, 0.69),
}
"""Number of edge lines, which of the sorted distances counts, distance of the lines from the centre."""


def _polygon(u: Plane, v: Plane, lines: int, rank: int, inner: float) -> Plane:
    """A regular polygon is where no edge line is crossed; the star on the same lines, where at most one is."""
    largest = second = None
    for line in range(lines):
        step = np.array(line * _TURN // lines)
        distance = u * _cosine(step) + v * _sine(step)
        if largest is None:
            largest = distance
            continue
        lower = np.minimum(largest, distance)
        second = lower if second is None else np.maximum(second, lower)
        largest = np.maximum(largest, distance)
    return (largest if rank == 1 else second) - np.float32(inner)
