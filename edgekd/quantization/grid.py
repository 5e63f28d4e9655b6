"""The grid of a quantised network: the scale and zero point of every tensor. numpy alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["uint8", "int8"]
Array = NDArray[np.float32]

LIMITS: dict[Kind, tuple[int, int]] = {"uint8": (0, 255), "int8": (-128, 127)}
"""The smallest and largest whole number of each kind."""
FULL_WEIGHTS = 127
"""Weights use -127..127, so that a sign change never overflows."""
HALF_WEIGHTS = 63
"""Weights of 7 bits: two products of an unsigned activation and such a weight fit 16 bits without saturating."""


@dataclass(frozen=True)
class Steps:
    """How the real values of one tensor become whole numbers: `round(value / scale) + zero_point`, clipped.

    `scale` is one number, or one for each index along `axis` [channels]; `zero_point` holds for all of them.
    """

    scale: Array
    zero_point: int
    kind: Kind
    axis: int | None = None

    def whole(self, values: Array) -> NDArray[np.int32]:
        """The whole numbers of `values`, rounded half to even as ONNX's QuantizeLinear does."""
        low, high = LIMITS[self.kind]
        found: NDArray[np.int32] = np.clip(
            np.rint(values / self._shaped(values.ndim)) + self.zero_point, low, high
        ).astype(np.int32)
        return found

    def rounded(self, values: Array) -> Array:
        """The nearest real values on the grid."""
        shifted = (self.whole(values) - self.zero_point).astype(np.float32)
        return (shifted * self._shaped(values.ndim)).astype(np.float32)

    def _shaped(self, dimensions: int) -> Array:
        if self.axis is None:
            return self.scale
        return self.scale.reshape([-1 if axis == self.axis else 1 for axis in range(dimensions)])


Grid = Mapping[str, Steps]
"""Steps by the tensor's name in the ONNX graph."""


def activation_steps(low: float, high: float, kind: Kind) -> Steps:
    """Steps that cover [low, high] with 256 values, of which one is exactly 0."""
    low, high = min(low, 0.0), max(high, 0.0)
    first, last = LIMITS[kind]
    scale = np.float32((high - low) / (last - first))
    if not scale > np.finfo(np.float32).tiny:
        return Steps(np.array(1.0, np.float32), first if low == 0 else 0, kind)
    zero_point = int(np.clip(np.rint(first - low / float(scale)), first, last))
    return Steps(np.array(scale, np.float32), zero_point, kind)


def weight_steps(weights: Array, axis: int | None, limit: int = FULL_WEIGHTS) -> Steps:
    """Symmetric int8 steps of a layer's weights, one scale for each index along `axis` (None: one for all)."""
    others = tuple(each for each in range(weights.ndim) if each != axis)
    largest = np.abs(weights).max(axis=others if axis is not None else None)
    scale = np.maximum(largest / limit, np.finfo(np.float32).tiny).astype(np.float32)
    return Steps(np.where(largest > 0, scale, np.float32(1.0)).astype(np.float32), 0, "int8", axis)
