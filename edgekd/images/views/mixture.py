"""Two images in one: mixup (Zhang et al. 2017, arXiv 1710.09412) and CutMix (Yun et al. 2019, arXiv 1905.04899)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekd.images.views.beta import draw_weights
from edgekd.images.views.boxes import fill
from edgekd.images.views.counter import below, happens
from edgekd.images.views.geometry import blend

WORDS = 5
"""Random words a mixture needs, besides the one for the partner."""
WHOLE = 256
"""The weight of an image that is all there."""


@dataclass(frozen=True)
class Mixture:
    """How images are mixed: the alphas of mixup and CutMix (0: off; both: half of the time each), and how often."""

    mixup: float
    cutmix: float
    share: float

    def parameters(self, bits: NDArray[np.uint64], side: int) -> NDArray[np.int64]:
        """The own image's weight in 256ths and the partner's box (top, bottom, left, right), `[n, 5]`.

        Of mixup the box is empty, of CutMix the weight is 256, of an image left alone both. Needs words `[n, 5]`.
        """
        is_mixed = happens(bits[:, 0], self.share)
        is_cut = is_mixed & happens(bits[:, 1], 0.5 if self.mixup and self.cutmix else float(self.cutmix > 0))
        found = np.zeros((len(bits), 5), np.int64)
        found[:, 0] = WHOLE
        if self.mixup:
            found[:, 0] = np.where(is_mixed & ~is_cut, draw_weights(bits[:, 2], self.mixup), WHOLE)
        if self.cutmix:
            found[:, 1:] = _boxes(bits[:, 2:], self.cutmix, side) * is_cut[:, None]
        return found


def _boxes(bits: NDArray[np.uint64], alpha: float, side: int) -> NDArray[np.int64]:
    """Squares with the partner's share of the area about a random middle, cut off at the edges."""
    area = (WHOLE - draw_weights(bits[:, 0], alpha)) * (side * side) // WHOLE
    edge = np.sqrt(area.astype(np.float64)).astype(np.int64)
    first = below(bits[:, 1:], side) - (edge // 2)[:, None]
    last = np.minimum(first + edge[:, None], side)
    first = np.maximum(first, 0)
    return np.stack([first[:, 0], last[:, 0], first[:, 1], last[:, 1]], axis=1)


def own_share(parameters: NDArray[np.int64], side: int) -> NDArray[np.float32]:
    """How much of each mixture is the own image, 0-1: the weight of its label. For CutMix the exact share of pixels."""
    box = (parameters[:, 2] - parameters[:, 1]) * (parameters[:, 4] - parameters[:, 3])
    own: NDArray[np.float64] = parameters[:, 0] * (side * side - box) / (WHOLE * side * side)
    return own.astype(np.float32)


def mix(own: NDArray[np.uint8], partners: NDArray[np.uint8], parameters: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Canvases and their partners' in one, `[n, side, side, channels]`."""
    weight = parameters[:, 0].astype(np.uint16)[:, None, None, None]
    is_cut = parameters[:, 2] > parameters[:, 1]
    if not is_cut.any():
        return blend(own, partners, weight)
    if is_cut.all():
        return fill(own, parameters[:, 1:], partners)
    mixed = np.empty_like(own)
    mixed[~is_cut] = blend(own[~is_cut], partners[~is_cut], weight[~is_cut])
    mixed[is_cut] = fill(own[is_cut], parameters[is_cut, 1:], partners[is_cut])
    return mixed
