"""A canvas becomes a model's input in numpy, as in training: resize with antialiasing, then normalise."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.runtimes.record import Record
from edgekd.runtimes.runtime import Port


def prepare(canvases: NDArray[np.uint8], size: int, mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """Canvases `[n, S, S, C]` to float32 `[n, C', size, size]`; grey is repeated when the mean has 3 channels."""
    pixels = np.moveaxis(canvases, 3, 1).astype(np.float32)
    if pixels.shape[-1] != size:
        weights = triangle_weights(pixels.shape[-1], size)
        pixels = np.matmul(np.matmul(weights, pixels), weights.T)
    offset, scale = (np.asarray(values, np.float32).reshape(1, -1, 1, 1) * 255 for values in (mean, std))
    return np.ascontiguousarray((pixels - offset) / scale, dtype=np.float32)


def feed_of(canvases: NDArray[np.uint8], record: Record, given: Port) -> NDArray[Any]:
    """Canvases `[n, S, S, C]` as a model's input takes them: its size, layout, number format and normalisation.

    A model that normalises itself (`normalises` in its record; bytes as input say so too) gets values of 0-255.
    """
    mean, std = record["mean"], record["std"]
    is_bytes = given.dtype == "uint8"
    if record.get("normalises", is_bytes):
        mean, std = [0.0] * len(mean), [1 / 255] * len(std)
    inputs = prepare(canvases, record["input_size"], mean, std)
    if record.get("layout", given.layout) == "NHWC":
        inputs = np.ascontiguousarray(np.moveaxis(inputs, 1, 3))
    return np.rint(inputs).clip(0, 255).astype(np.uint8) if is_bytes else inputs.astype(given.dtype, copy=False)


def triangle_weights(source: int, target: int) -> NDArray[np.float32]:
    """The matrix `[target, source]` of linear interpolation, widened when it shrinks (antialiasing)."""
    scale = source / target
    width = max(scale, 1.0)
    centres = (np.arange(target) + 0.5) * scale
    distance = np.abs(np.arange(source) + 0.5 - centres[:, None]) / width
    weights = np.maximum(0.0, 1.0 - distance)
    normalised: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised
