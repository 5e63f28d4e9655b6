"""Views of a canvas: what augmentation does to it is a pure function of (seed, view, index), in integers alone."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.images.views import erasing, mixture, randaugment
from edgekd.images.views.boxes import ONE, BoxShape
from edgekd.images.views.counter import below, random_bits
from edgekd.images.views.geometry import render, zoom

VERSION = 2
"""Raised when the same recipe would render other pixels; it is part of every cache's fingerprint."""

# Which random words belong to what; they never move, so switching one thing on leaves the others' draws as they are.
_SHIFT, _ZOOM, _ERASE, _MIX, _PARTNER, _OPERATIONS = 0, 3, 7, 12, 17, 18
_ASPECT = 4 / 3


@dataclass(frozen=True)
class ViewRecipe:
    """How images are varied; docs/data.md says what each part does. 0 means off.

    `crop` is the largest shift as a share of the side, `resized_crop` the least share of the area, `randaugment` a
    number of operations of `magnitude` 0 to 10, `erase` and `mix_share` are probabilities, `mixup` and `cutmix` alphas.
    """

    crop: float
    flip: bool
    seed: int
    resized_crop: float = 0.0
    randaugment: int = 0
    magnitude: int = 5
    erase: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    mix_share: float = 1.0
    plain_view: bool = False

    def strengthened(self) -> "ViewRecipe":
        """The strong view of the same images: the same moves and partners, RandAugment in full, half of them erased."""
        return replace(self, randaugment=max(self.randaugment, 2), magnitude=10, erase=max(self.erase, 0.5))

    def parameters(self, view: int, index: NDArray[np.int64], side: int) -> NDArray[np.int64]:
        """Shift down, shift right (pixels, either sign) and flip (0 or 1) of each image, `[len(index), 3]`.

        Flips alternate: an image's first view is flipped by chance, each later one is the other way round. So two views
        show both sides, as independent draws do only half the time (Jordan 2024, "94% on CIFAR-10", section 3.6).
        """
        reach = min(round(self.crop * side), side - 1)
        bits = random_bits(self.seed, view, index, 3)
        chosen = below(bits, 2 * reach + 1) - reach
        chosen[:, 2] = 0
        if self.flip:
            first = below(random_bits(self.seed, 0, index, 3)[:, 2], 2)
            chosen[:, 2] = (first + view) % 2
        return chosen

    def boxes(self, view: int, index: NDArray[np.int64], side: int) -> NDArray[np.int64]:
        """Top, left, height and width, in 65536ths of a pixel, of the box that `resized_crop` shows, `[n, 4]`."""
        bits = random_bits(self.seed, view, index, _ERASE)[:, _ZOOM:]
        height, width = BoxShape(self.resized_crop, 1.0, _ASPECT).sides(bits[:, :2], side)
        top, left = (below(bits[:, 2 + k], side * ONE - each + 1) for k, each in enumerate((height, width)))
        return np.stack([top, left, height, width], axis=1)

    def is_plain(self, view: int) -> bool:
        """Whether this view is the unvaried canvas."""
        return self.plain_view and view == 0

    def is_mixed(self, view: int) -> bool:
        """Whether images of this view have partners."""
        return bool(self.mixup or self.cutmix) and self.mix_share > 0 and not self.is_plain(view)

    def vary(self, canvases: NDArray[np.uint8], view: int, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Each image's own view: shift or zoom, flip, RandAugment, erasing, in this order; same shape."""
        if self.is_plain(view):
            return canvases
        side = canvases.shape[1]
        moves = self.parameters(view, index, side)
        if self.resized_crop:
            varied = zoom(canvases, self.boxes(view, index, side), moves[:, 2])
        else:
            varied = render(canvases, moves)
        for first in range(_OPERATIONS, _OPERATIONS + self.randaugment * randaugment.WORDS, randaugment.WORDS):
            bits = random_bits(self.seed, view, index, first + randaugment.WORDS)[:, first:]
            varied = randaugment.operate(varied, randaugment.draw_operations(bits), self.magnitude)
        if self.erase:
            bits = random_bits(self.seed, view, index, _MIX)[:, _ERASE:]
            varied = erasing.erase(varied, erasing.draw_boxes(bits, self.erase, side))
        return varied

    def mixtures(self, view: int, index: NDArray[np.int64], side: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """How each image is mixed (`mixture.Mixture.parameters`), and the random words that choose its partner."""
        bits = random_bits(self.seed, view, index, _OPERATIONS)
        kinds = mixture.Mixture(self.mixup, self.cutmix, self.mix_share)
        return kinds.parameters(bits[:, _MIX:_PARTNER], side), bits[:, _PARTNER]

    def describe(self) -> dict[str, Any]:
        """Everything the rendered pixels depend on, for fingerprints; what is off is left out."""
        found: dict[str, Any] = {"version": VERSION, "crop": self.crop, "flip": self.flip, "seed": self.seed}
        if self.randaugment:
            found |= {"randaugment": self.randaugment, "magnitude": self.magnitude}
        if self.mixup or self.cutmix:
            found["mix_share"] = self.mix_share
        further = ("resized_crop", "erase", "mixup", "cutmix", "plain_view")
        return found | {name: value for name in further if (value := getattr(self, name))}
