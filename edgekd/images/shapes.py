"""The embedded data set `shapes`: 10,000 training and 2,000 test scenes, drawn once and kept as a decoded copy."""

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgekd.config import Data
from edgekd.errors import DataError
from edgekd.images import shape_drawing as scenes
from edgekd.images.assembly import ImageSource, SplitPart
from edgekd.images.decoded import is_array, write_array
from edgekd.images.decoder import Form, threads
from edgekd.images.partition import limit
from edgekd.images.pixels import Array
from edgekd.images.space import GB, cache_root, fits_memory, has_room, touch
from edgekd.report import Reporter

_COUNTS = {"train": 10_000, "test": 2_000}
_TASK = 256
_GREY = (19_595, 38_470, 7_471)
"""ITU-R 601 weights in 65,536ths, Pillow's own."""

Canvases = NDArray[np.uint8]
Index = NDArray[np.int64]


def open_shapes(config: Data, report: Reporter) -> ImageSource:
    """The shapes at the canvas requested (default 32 pixels, RGB); raises DataError when it has no room."""
    form = Form(config.canvas or 32, 1 if config.channels == "1" else 3)
    names = {split: tuple(f"{split}/{row:05d}" for row in range(count)) for split, count in _COUNTS.items()}
    targets = scenes.targets_of(np.arange(_COUNTS["train"]))
    index = {"train": limit(names["train"], targets, config.limit), "test": np.arange(_COUNTS["test"])}
    if len(index["train"]) == _COUNTS["train"]:
        canvases = _kept(form, index, config.decoded_cache, report)
    else:
        canvases = _drawn(form, index, report)
    train, test = (
        _part([names[split][row] for row in rows.tolist()], scenes.targets_of(rows), part)
        for (split, rows), part in zip(index.items(), _halves(canvases, index), strict=True)
    )
    return ImageSource("shapes", "shapes", scenes.CLASSES, train, None, test)


def _part(names: Sequence[str], labels: Index, canvases: Canvases) -> SplitPart:
    # a scene's pixels follow from its number, so its number stands for its content
    words = (f"shapes {scenes.VERSION} {name}".encode() for name in names)
    hashes = tuple(hashlib.blake2b(each, digest_size=16).hexdigest() for each in words)
    return SplitPart(Array(canvases), tuple(names), hashes, labels)


def _kept(form: Form, index: Mapping[str, Index], budget_gb: float, report: Reporter) -> Canvases:
    """All scenes from the copy on disk, which is made first where it is missing and has room."""
    path = cache_root() / "decoded" / f"shapes-{scenes.VERSION}-{form.side}-{form.channels}" / "canvases.npy"
    size = form.size_bytes * sum(_COUNTS.values())
    if not path.is_file():
        if not has_room(path.parent, size, budget_gb):
            return _drawn(form, index, report)
        write_array(path, _shape(form, index), lambda canvases: _draw(form, index, canvases, report))
    touch(path.parent)
    try:
        mapped: Canvases = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError, OverflowError):
        return _drawn(form, index, report)
    if not is_array(mapped, _shape(form, index)):
        return _drawn(form, index, report)
    return np.array(mapped) if fits_memory(size) else mapped


def _drawn(form: Form, index: Mapping[str, Index], report: Reporter) -> Canvases:
    shape = _shape(form, index)
    if not fits_memory(math.prod(shape)):
        raise DataError(
            f"shapes at canvas {form.side}: {math.prod(shape) / GB:.1f} GB fit neither memory nor --decoded-cache",
            "take a smaller --canvas, a --limit, or a larger --decoded-cache",
        )
    canvases = np.empty(shape, np.uint8)
    _draw(form, index, canvases, report)
    return canvases


def _shape(form: Form, index: Mapping[str, Index]) -> tuple[int, int, int, int]:
    return sum(map(len, index.values())), form.side, form.side, form.channels


def _halves(canvases: Canvases, index: Mapping[str, Index]) -> tuple[Canvases, Canvases]:
    border = len(index["train"])
    return canvases[:border], canvases[border:]


def _draw(form: Form, index: Mapping[str, Index], into: Canvases, report: Reporter) -> None:
    """Draw the scenes of both splits in the threads of a pool."""
    tasks = [
        (number, rows[first : first + _TASK], half[first : first + _TASK])
        for number, (rows, half) in enumerate(zip(index.values(), _halves(into, index), strict=True))
        for first in range(0, len(rows), _TASK)
    ]

    def work(task: tuple[int, Index, Canvases]) -> int:
        split, rows, place = task
        place[...] = _coloured(scenes.draw(split, rows, form.side), form.channels)
        return len(rows)

    with report.stage("Drawing shapes", len(into), "images") as progress, threads() as pool:
        for done in pool.map(work, tasks):
            progress.advance(done)


def _coloured(canvases: Canvases, channels: int) -> Canvases:
    if channels == 3:
        return canvases
    wide = canvases.astype(np.uint32)
    grey = sum(wide[..., place] * weight for place, weight in enumerate(_GREY)) + (1 << 15)
    return (np.asarray(grey) >> 16).astype(np.uint8)[..., None]
