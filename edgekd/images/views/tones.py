"""Operations on tones, in integers alone: canvases `[n, side, side, channels]` in, the same shape out.

They are those of Pillow's ImageOps and ImageEnhance; `factor` [n] is in 256ths, 256 leaves the image.
"""

import numpy as np
from numpy.typing import NDArray

Canvases = NDArray[np.uint8]
_TONES = np.arange(256)


def autocontrast(canvases: Canvases) -> Canvases:
    """Each channel stretched to 0-255."""
    count, side, _, channels = canvases.shape
    lines = canvases.reshape(count, side, side * channels)
    low, high = (
        each(each(lines, axis=1).reshape(count, side, channels), axis=1).astype(np.int64)[..., None]
        for each in (np.min, np.max)
    )
    stretched = np.clip((_TONES - low) * 255 // np.maximum(high - low, 1), 0, 255)
    return _look_up(canvases, np.where(high > low, stretched, _TONES))


def equalize(canvases: Canvases) -> Canvases:
    """Each channel's tones spread evenly."""
    count, side, _, channels = canvases.shape
    kinds = count * channels
    found = np.bincount(_places(canvases).reshape(-1), minlength=kinds * 256)
    histogram = found.reshape(kinds, 256)
    brightest = histogram[np.arange(kinds), 255 - (histogram[:, ::-1] > 0).argmax(axis=1)]
    step = ((side * side - brightest) // 255)[:, None]
    below = np.cumsum(histogram, axis=1) - histogram
    spread = np.minimum((below + step // 2) // np.maximum(step, 1), 255)
    return _look_up(canvases, np.where(step > 0, spread, _TONES).reshape(count, channels, 256))


def solarize(canvases: Canvases, threshold: int) -> Canvases:
    """Tones from `threshold` on inverted."""
    return canvases ^ ((canvases >= np.int16(threshold)) * np.uint8(255))


def posterize(canvases: Canvases, bits: int) -> Canvases:
    """Only the highest `bits` of each tone."""
    return canvases & np.uint8(256 - (1 << (8 - bits)))


def brightness(canvases: Canvases, factor: NDArray[np.int64]) -> Canvases:
    """Away from or towards black."""
    return _look_up(canvases, _away(_TONES, 0, factor[:, None, None]))


def contrast(canvases: Canvases, factor: NDArray[np.int64]) -> Canvases:
    """Away from or towards the image's mean grey."""
    grey = _grey(canvases)
    pixels = grey.shape[1] * grey.shape[2]
    mean = (2 * grey.sum(axis=(1, 2), dtype=np.int64) + pixels) // (2 * pixels)
    return _look_up(canvases, _away(_TONES, mean[:, None, None], factor[:, None, None]))


def color(canvases: Canvases, factor: NDArray[np.int64]) -> Canvases:
    """Away from or towards grey; a grey canvas stays as it is."""
    if canvases.shape[3] == 1:
        return canvases
    count, side, _, channels = canvases.shape
    lines = canvases.reshape(count, side, side * channels)
    grey = np.repeat(_grey(canvases), channels, axis=2)
    return _away(lines, grey, factor[:, None, None]).astype(np.uint8).reshape(canvases.shape)


def sharpness(canvases: Canvases, factor: NDArray[np.int64]) -> Canvases:
    """Away from or towards a smoothed image (3x3, the middle five times the others; edges stay)."""
    count, side, _, step = canvases.shape
    wide = canvases.reshape(count, side, side * step).astype(np.uint16)
    rows = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    around = rows[:, :, : -2 * step] + rows[:, :, step:-step] + rows[:, :, 2 * step :]
    middle = wide[:, 1:-1, step:-step]
    smooth = (around + middle * np.uint16(4) + np.uint16(6)) // np.uint16(13)
    wide[:, 1:-1, step:-step] = _away(middle, smooth, factor[:, None, None])
    return wide.astype(np.uint8).reshape(canvases.shape)


def _away(
    tones: NDArray[np.generic], origin: NDArray[np.generic] | int, factor: NDArray[np.int64]
) -> NDArray[np.int32]:
    """origin + (tones - origin) * factor / 256, rounded and kept in 0-255."""
    start, share = np.asarray(origin, np.int32), factor.astype(np.int32)
    moved: NDArray[np.int32] = (start * (256 - share) + tones.astype(np.int32) * share + 128) >> 8
    return moved.clip(0, 255)


def _grey(canvases: Canvases) -> NDArray[np.int32]:
    """Luma by ITU-R 601-2, `[n, side, side]`."""
    wide = [canvases[..., channel].astype(np.int32) for channel in range(canvases.shape[3])]
    if len(wide) == 1:
        return wide[0]
    return (wide[0] * 19595 + wide[1] * 38470 + wide[2] * 7471 + 0x8000) >> 16


def _look_up(canvases: Canvases, tables: NDArray[np.integer]) -> Canvases:
    """Tones replaced by tables `[n, 1 or channels, 256]`."""
    count, _, _, channels = canvases.shape
    every = np.broadcast_to(tables, (count, channels, 256)).astype(np.uint8)
    return every.reshape(-1).take(_places(canvases), mode="clip").reshape(canvases.shape)


def _places(canvases: Canvases) -> NDArray[np.int64]:
    """Where each tone is in tables of all images and channels, `[n, side, side * channels]`."""
    count, side, _, channels = canvases.shape
    first = np.tile(np.arange(count * channels).reshape(count, 1, channels) * 256, (1, 1, side))
    places: NDArray[np.int64] = canvases.reshape(count, side, side * channels) + first
    return places
