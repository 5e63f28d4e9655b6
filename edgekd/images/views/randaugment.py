"""RandAugment (Cubuk et al. 2019, arXiv 1909.13719): some operations per image, all of one magnitude."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgekd.images.views import tones
from edgekd.images.views.boxes import ONE
from edgekd.images.views.counter import below
from edgekd.images.views.geometry import render, turn

Canvases = NDArray[np.uint8]
Operation = Callable[[Canvases, NDArray[np.int64], int], Canvases]
"""Canvases, a sign (-1 or 1) for each and a magnitude from 0 to 10."""

WORDS = 2
"""Random words an operation needs."""
_SINES = tuple(
    (round(math.cos(math.radians(3 * m)) * ONE), round(math.sin(math.radians(3 * m)) * ONE)) for m in range(11)
)


def _factor(sign: NDArray[np.int64], magnitude: int) -> NDArray[np.int64]:
    """1 +- 0.9 at the largest magnitude, in 256ths."""
    return 256 + sign * ((2304 * magnitude + 50) // 100)


def _rotate(canvases: Canvases, sign: NDArray[np.int64], magnitude: int) -> Canvases:
    cosine, sine = _SINES[magnitude]
    straight = np.full(len(sign), cosine)
    return turn(canvases, np.stack([straight, sign * sine, sign * -sine, straight], axis=1))


def _shear(canvases: Canvases, sign: NDArray[np.int64], magnitude: int, axis: int) -> Canvases:
    matrices = np.tile(np.array([ONE, 0, 0, ONE]), (len(sign), 1))
    matrices[:, 1 + axis] = sign * ((3 * ONE * magnitude + 50) // 100)
    return turn(canvases, matrices)


def _translate(canvases: Canvases, sign: NDArray[np.int64], magnitude: int, axis: int) -> Canvases:
    shifts = np.zeros((len(sign), 3), np.int64)
    shifts[:, axis] = sign * ((45 * canvases.shape[1] * magnitude + 500) // 1000)
    return render(canvases, shifts)


OPERATIONS: dict[str, Operation] = {
    "identity": lambda canvases, sign, magnitude: canvases,
    "autocontrast": lambda canvases, sign, magnitude: tones.autocontrast(canvases),
    "equalize": lambda canvases, sign, magnitude: tones.equalize(canvases),
    "rotate": _rotate,
    "solarize": lambda canvases, sign, magnitude: tones.solarize(canvases, 256 - 256 * magnitude // 10),
    "color": lambda canvases, sign, magnitude: tones.color(canvases, _factor(sign, magnitude)),
    "posterize": lambda canvases, sign, magnitude: tones.posterize(canvases, 8 - (4 * magnitude + 5) // 10),
    "contrast": lambda canvases, sign, magnitude: tones.contrast(canvases, _factor(sign, magnitude)),
    "brightness": lambda canvases, sign, magnitude: tones.brightness(canvases, _factor(sign, magnitude)),
    "sharpness": lambda canvases, sign, magnitude: tones.sharpness(canvases, _factor(sign, magnitude)),
    "shear-x": lambda canvases, sign, magnitude: _shear(canvases, sign, magnitude, 1),
    "shear-y": lambda canvases, sign, magnitude: _shear(canvases, sign, magnitude, 0),
    "translate-x": lambda canvases, sign, magnitude: _translate(canvases, sign, magnitude, 1),
    "translate-y": lambda canvases, sign, magnitude: _translate(canvases, sign, magnitude, 0),
}
"""In the order of the paper; an operation is known by its place here, so new ones go to the end."""


def draw_operations(bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Operation and sign `[n, 2]` by random words `[n, 2]`."""
    return np.stack([below(bits[:, 0], len(OPERATIONS)), 2 * below(bits[:, 1], 2) - 1], axis=1)


def operate(canvases: Canvases, chosen: NDArray[np.int64], magnitude: int) -> Canvases:
    """Each canvas after its operation; one call for all that have the same."""
    changed = canvases.copy()
    for number, operation in enumerate(OPERATIONS.values()):
        rows = np.flatnonzero(chosen[:, 0] == number)
        if len(rows) and number:
            changed[rows] = operation(canvases[rows], chosen[rows, 1], magnitude)
    return changed
