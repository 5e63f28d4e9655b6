"""What every data source hands over: canvases by row, splits as rows and targets, and where they came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekd.images.partners import Roster

UNLABELLED = -1
"""The target of an image without a label."""


class Pixels(Protocol):
    """Where canvases come from: memory, a mapped file, or files decoded when requested."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Images, side, side, channels."""

    def gather(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The canvases of these rows, `[len(rows), side, side, channels]`, C-contiguous and the caller's own."""


@dataclass(frozen=True)
class Split:
    """Some images with their targets: `index` are rows of `pixels`, a target of -1 means unlabelled.

    `roster` knows all rows of `pixels`: the numbers that views and caches know them by, and who is mixed with whom.
    """

    pixels: Pixels
    index: NDArray[np.int64]
    targets: NDArray[np.int64]
    roster: Roster | None = None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def ids(self) -> NDArray[np.int64]:
        """The numbers by which views and caches know these images, `[len(self)]`."""
        return self.numbers(self.index)

    def numbers(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers by which views and caches know rows of `pixels`."""
        return rows if self.roster is None else self.roster.numbers(rows)

    def labelled(self) -> "Split":
        """The images that have a label."""
        known = self.targets != UNLABELLED
        return replace(self, index=self.index[known], targets=self.targets[known])


@dataclass(frozen=True)
class Listing:
    """Every training image in sorted order before any split: relative path and hash of its content."""

    paths: tuple[str, ...]
    hashes: tuple[str, ...]


@dataclass(frozen=True)
class ImageData:
    """A whole data set as canvases.

    `train` and `val` number images as `everything` does, except that a folder's own `val/` has its own pixels.
    `options` reopen exactly this data as `Data(**options)`; `mean` and `std` are per channel, 0-1.
    """

    name: str
    options: dict[str, Any]
    classes: tuple[str, ...]
    canvas: int
    channels: int
    everything: Split
    train: Split
    val: Split
    test: Split
    listing: Listing
    fingerprint: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    skipped: tuple[str, ...]
    own_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The names of the images of `test`, and of `val` where it has its own pixels, by row."""

    @property
    def has_labels(self) -> bool:
        """Whether any training image has a label."""
        return bool((self.train.targets != UNLABELLED).any())

    def names_in(self, split: str) -> tuple[str, ...]:
        """The images of `train`, `val` or `test` by name, as listed below the split's folder, in its order."""
        names = self.own_names.get(split, self.listing.paths)
        chosen = {"train": self.train, "val": self.val, "test": self.test}[split]
        return tuple(names[row] for row in chosen.index.tolist())


def describe_data(data: ImageData) -> dict[str, Any]:
    """What manifests and caches say of a data set."""
    return {
        "name": data.name,
        "options": data.options,
        "classes": list(data.classes),
        "canvas": data.canvas,
        "channels": data.channels,
        "fingerprint": data.fingerprint,
        "images": len(data.everything),
        "skipped": len(data.skipped),
    }
