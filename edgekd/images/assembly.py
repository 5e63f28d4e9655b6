"""From parts to a data set: limit, splits, fingerprint and the channels' mean and spread."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config import Data
from edgekd.errors import DataError
from edgekd.images import canvas
from edgekd.images.canvas import Aspect
from edgekd.images.imageset import ImageData, Listing, Pixels, Split
from edgekd.images.partition import hold_out, keep_labels, limit
from edgekd.images.partners import Roster
from edgekd.images.pixels import Joined, choose

_MEASURED = 2_000
_FULL_BITS = 16


@dataclass(frozen=True, eq=False)
class SplitPart:
    """Some images as a source hands them over: canvases by row with name, content hash and target."""

    pixels: Pixels
    paths: tuple[str, ...]
    hashes: tuple[str, ...]
    targets: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> "SplitPart":
        """Only these rows, in this order."""
        chosen = rows.tolist()
        return SplitPart(
            choose(self.pixels, rows),
            tuple(self.paths[row] for row in chosen),
            tuple(self.hashes[row] for row in chosen),
            self.targets[rows],
        )

    def then(self, other: "SplitPart") -> "SplitPart":
        """This part's rows, then the other's."""
        if not len(other.targets):
            return self
        return SplitPart(
            Joined(self.pixels, other.pixels),
            self.paths + other.paths,
            self.hashes + other.hashes,
            np.concatenate([self.targets, other.targets]),
        )

    def whole(self, roster: Roster | None = None) -> Split:
        """All rows as a split."""
        return Split(self.pixels, np.arange(len(self.targets)), self.targets, roster)


@dataclass(frozen=True, eq=False)
class ImageSource:
    """What whoever read the images hands to `assemble`; `val` is None where it is to be split off train."""

    name: str
    data: str
    classes: tuple[str, ...]
    train: SplitPart
    val: SplitPart | None
    test: SplitPart
    skipped: tuple[str, ...] = ()
    aspect: Aspect = "crop"
    grey_bits: int = 16


def assemble(source: ImageSource, config: Data) -> ImageData:
    """Limit, split, fingerprint and measure the images of a source.

    `config.limit` counts before validation is split off, and as many images of the other folders are kept at most.
    Labels are taken away after that, so validation split off train has as few as training.
    """
    train, test = (_limited(part, config) for part in (source.train, source.test))
    if config.label_fraction < 1:
        labels = keep_labels(train.paths, train.targets, config.label_fraction, config.split_seed)
        train = replace(train, targets=labels)
    own_val = None if source.val is None else _limited(source.val, config)
    held = np.zeros(len(train.targets), bool) if own_val is not None else _hold_out(train, config)
    everything = train.whole(Roster(train.targets, ~held))
    kept, val = _split(everything, held, own_val)
    _, side, _, channels = everything.pixels.shape
    mean, std = _measure(everything)
    return ImageData(
        name=source.name,
        options=_options(config, source, side, channels),
        classes=source.classes,
        canvas=side,
        channels=channels,
        everything=everything,
        train=kept,
        val=val,
        test=test.whole(),
        listing=Listing(train.paths, train.hashes),
        fingerprint=_fingerprint(train, source, side, channels),
        mean=mean,
        std=std,
        skipped=source.skipped,
        own_names={"test": test.paths} | ({} if own_val is None else {"val": own_val.paths}),
    )


def _limited(part: SplitPart, config: Data) -> SplitPart:
    return part.take(limit(part.paths, part.targets, config.limit))


def _hold_out(train: SplitPart, config: Data) -> NDArray[np.bool_]:
    held = hold_out(train.paths, train.targets, config.val_fraction, config.split_seed)
    if not held.any():
        raise DataError(
            "no class has two training images, so none can be kept for validation",
            "add images, or a val folder beside train",
        )
    return held


def _split(everything: Split, held: NDArray[np.bool_], val: SplitPart | None) -> tuple[Split, Split]:
    if val is not None:
        return everything, val.whole()
    kept, kept_out = (
        replace(everything, index=everything.index[rows], targets=everything.targets[rows])
        for rows in (np.flatnonzero(~held), np.flatnonzero(held))
    )
    return kept, kept_out


def _options(config: Data, source: ImageSource, side: int, channels: int) -> dict[str, Any]:
    """The options which reopen this data, as plain JSON values."""
    return {
        "data": source.data,
        "data_dir": str(Path(config.data_dir).absolute()) if config.data_dir else None,
        "canvas": side,
        "channels": str(channels),
        "aspect": source.aspect,
        "grey_bits": str(source.grey_bits),
        "val_fraction": config.val_fraction,
        "split_seed": config.split_seed,
        "unlabelled": str(Path(config.unlabelled).absolute()) if config.unlabelled else None,
        "skip_bad_images": config.skip_bad_images,
        "limit": config.limit,
        "label_fraction": config.label_fraction,
    }


def _fingerprint(train: SplitPart, source: ImageSource, side: int, channels: int) -> str:
    """A sha256 of everything training pixels and targets depend on; no place on disk is part of it."""
    head: dict[str, Any] = {"decoder": canvas.VERSION, "classes": source.classes, "canvas": side, "channels": channels}
    # left out where they change nothing, so that data keeps the fingerprint it had before these options
    head |= {"aspect": source.aspect} if source.aspect != "crop" else {}
    head |= {"grey_bits": source.grey_bits} if source.grey_bits != _FULL_BITS else {}
    rows = zip(train.paths, train.hashes, train.targets.tolist(), strict=True)
    lines = [json.dumps(head, sort_keys=True), *(f"{path}\0{content}\0{target}" for path, content, target in rows)]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _measure(everything: Split) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel, 0-1, of evenly spaced labelled canvases (of any, where none is)."""
    labelled = everything.index[everything.targets >= 0]
    labelled = labelled if len(labelled) else everything.index
    rows = labelled[:: -(-len(labelled) // _MEASURED)]
    channels = everything.pixels.shape[3]
    total, squares, count = np.zeros(channels, np.int64), np.zeros(channels, np.int64), 0
    for first in range(0, len(rows), 256):
        values = everything.pixels.gather(rows[first : first + 256]).reshape(-1, channels).astype(np.int64)
        total += values.sum(axis=0)
        squares += (values * values).sum(axis=0)
        count += len(values)
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean * mean, 1.0))
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())
