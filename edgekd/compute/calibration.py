"""How well a network's probabilities match how often it is right, measured on labelled images."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.compute.evaluate import EXACT, logits_of
from edgekd.images.imageset import Split
from edgekd.models.network import Network

BINS = 15
MOST_IMAGES = 10_000
COLDEST, HOTTEST = 0.05, 20.0
"""Limits of the temperature sought; a network that is always right has none."""
HALVINGS = 40
GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Calibration:
    """Expected calibration error (0-1) and the temperature of the smallest cross-entropy, over `images` images.

    A temperature below 1 says that the network is less sure than it is right, as after label smoothing; above 1, surer.
    """

    error: float
    temperature: float
    images: int

    def as_dict(self) -> dict[str, Any]:
        """As a run's result keeps it."""
        return {"val_calibration_error": self.error, "val_temperature": self.temperature, "val_images": self.images}


def calibration_error(logits: Tensor, target: Tensor) -> float:
    """Expected calibration error of logits [images, classes], 0-1, in 15 bins (Guo et al. 2017, equation 3)."""
    confidence, answer = logits.softmax(1).max(1)
    gap = confidence - (answer == target).float()
    place = (confidence * BINS).long().clamp(max=BINS - 1)
    sums = torch.zeros(BINS, dtype=gap.dtype, device=gap.device).index_add_(0, place, gap)
    return float(sums.abs().sum() / max(1, len(target)))


def best_temperature(logits: Tensor, target: Tensor) -> float:
    """The temperature by which logits [images, classes] fit best (Guo et al. 2017, section 4.2), from 0.05 to 20.

    The cross-entropy is convex in 1/T, so a golden section finds its minimum.
    """

    def loss(scale: float) -> float:
        return float(F.cross_entropy(logits * math.exp(scale), target))

    low, high = -math.log(HOTTEST), -math.log(COLDEST)
    for _ in range(HALVINGS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return math.exp(-(low + high) / 2)


def measure_calibration(network: Network, split: Split, batch_size: int) -> Calibration | None:
    """Of up to 10,000 evenly spaced labelled images, computed in fp32; None where there are none, or no finite logits.

    The images are canvases in order, unvaried.
    """
    known = split.labelled()
    every = -(-len(known) // MOST_IMAGES) or 1
    known = replace(known, index=known.index[::every], targets=known.targets[::every])
    if not len(known):
        return None
    EXACT.prepare(network)
    found = [(logits.double().cpu(), target.cpu()) for logits, target in logits_of(network, known, batch_size, EXACT)]
    logits, target = (torch.cat(each) for each in zip(*found, strict=True))
    if not torch.isfinite(logits).all():
        return None
    error, temperature = calibration_error(logits, target), best_temperature(logits, target)
    return Calibration(round(error, 6), round(temperature, 4), len(known))
