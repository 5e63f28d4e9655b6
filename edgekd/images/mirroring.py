"""Whether a mirror image is still of its class, seen from the training images alone: no network is needed.

A linear classifier of gradient directions and colours is fitted to some of the images and asked about the others,
as they are and mirrored. Where mirroring keeps the class both are answered equally well.
"""

from dataclasses import dataclass, replace
from math import comb

import numpy as np
from numpy.typing import NDArray

from edgekd.images.imageset import Split
from edgekd.images.views.counter import random_bits

Features = NDArray[np.float32]

PER_CLASS = 120
"""Most images looked at of one class."""
MOST_IMAGES = 3_000
MOST_CLASSES = 250
"""Of more classes only so many are looked at; they are taken evenly spaced."""
FOLDS = 4
SIDE = 32
"""Pixels a side that a canvas is reduced to."""
DIRECTIONS = 8
RIDGE = 0.3
"""Weight of the penalty, as a share of the variance of a feature."""
MOST_KEPT = 1 / 3
"""A class is destroyed where at most this share of the images recognised is still recognised when mirrored, ..."""
LEAST_RISE = 0.2
"""... and where so many more of its images (as a share) go to one other class than unmirrored, ..."""
DOUBT = 0.001
"""... and where the probability of such a loss by chance is no more than this, over all classes together.

A class that was photographed one way round is recognised less often when mirrored, but goes to no class of its own.
"""


@dataclass(frozen=True)
class Moved:
    """Of `images` of class `before`, `plain` were recognised as they are and `mirrored` when mirrored.

    `after` is the class that most of the mirrored ones are taken for.
    """

    before: int
    after: int
    images: int
    plain: int
    mirrored: int


@dataclass(frozen=True)
class Finding:
    """What the probe saw: how many images, the shares recognised (0-1), and the classes that mirroring destroys."""

    images: int
    plain: float
    mirrored: float
    moved: tuple[Moved, ...]

    @property
    def keeps(self) -> bool:
        """Whether mirrored images may be shown in training."""
        return not self.moved


def probe(split: Split, seed: int = 0) -> Finding:
    """Look at up to 3,000 labelled images of a training set; deterministic for a seed."""
    rows, targets, folds = _sample(split, seed)
    classes, labels = np.unique(targets, return_inverse=True)
    if len(classes) < 2 or len(labels) < 2 * FOLDS:
        return Finding(len(labels), 0.0, 0.0, ())
    plain, mirrored = _both(split, rows)
    answers = np.empty((2, len(labels)), np.int64)
    for fold in range(FOLDS):
        held = folds == fold
        mean, std, weights = _fit(plain[~held], labels[~held], len(classes))
        for number, each in enumerate((plain, mirrored)):
            answers[number, held] = (((each[held] - mean) / std) @ weights[:-1] + weights[-1]).argmax(1)
    right = answers == labels
    found = [_moved(kind, labels, answers) for kind in range(len(classes))]
    moved = tuple(
        replace(each, before=int(classes[each.before]), after=int(classes[each.after])) for each in found if each
    )
    return Finding(len(labels), float(right[0].mean()), float(right[1].mean()), moved)


def _sample(split: Split, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows of pixels, targets and folds: evenly of every class, by chance within it, each fold with its part of it."""
    split = split.labelled()
    kinds = np.unique(split.targets)
    kinds = kinds[:: -(-len(kinds) // MOST_CLASSES)] if len(kinds) else kinds
    most = max(2 * FOLDS, min(PER_CLASS, MOST_IMAGES // max(len(kinds), 1)))
    order = np.argsort(random_bits(seed, 0, split.index, 1)[:, 0], kind="stable")
    groups = [order[split.targets[order] == kind][:most] for kind in kinds]
    picked = np.concatenate([np.empty(0, np.int64), *groups])
    folds = np.concatenate([np.empty(0, np.int64), *(np.arange(len(group)) % FOLDS for group in groups)])
    return split.index[picked], split.targets[picked], folds


def _both(split: Split, rows: NDArray[np.int64]) -> tuple[Features, Features]:
    """Features of the images and of their mirror images, `[n, width]` each."""
    parts = []
    for start in range(0, len(rows), 250):
        small = _reduced(split.pixels.gather(rows[start : start + 250]))
        parts.append((_features(small), _features(small[:, :, ::-1])))
    plain, mirrored = (np.concatenate(each) for each in zip(*parts, strict=True))
    return plain, mirrored


def _reduced(canvases: NDArray[np.uint8]) -> Features:
    """`[n, side, side, channels]` to at most 32 pixels a side, 0-1, by the means of equal parts of the middle."""
    side = canvases.shape[1]
    step = max(1, side // SIDE)
    kept = side // step
    start = (side - kept * step) // 2
    cut = canvases[:, start : start + kept * step, start : start + kept * step].astype(np.float32) / 255
    shape = (len(cut), kept, step, kept, step, cut.shape[-1])
    return np.asarray(cut.reshape(shape).mean((2, 4)), np.float32)


def _features(images: Features) -> Features:
    """Histograms of gradient directions in 4x4 and 8x8 cells, and the colours of 4x4 cells (Dalal and Triggs 2005)."""
    grey = images.mean(-1)
    down, right = np.gradient(grey, axis=(1, 2))
    strength = np.sqrt(down**2 + right**2)
    turn = np.arctan2(down, right) * (DIRECTIONS / (2 * np.pi)) % DIRECTIONS
    low = np.floor(turn)
    share = turn - low
    bins = np.zeros((*grey.shape, DIRECTIONS), np.float32)
    for kind, weight in ((low, 1 - share), ((low + 1), share)):
        np.put_along_axis(bins, (kind.astype(np.int64) % DIRECTIONS)[..., None], (strength * weight)[..., None], -1)
    cells = [_cells(bins, count) for count in (4, 8)]
    parts = [np.sqrt(each / (each.sum((1, 2, 3), keepdims=True) + 1e-6)) for each in cells]
    flat = [each.reshape(len(images), -1) for each in (*parts, _cells(images, 4))]
    return np.concatenate(flat, 1).astype(np.float32)


def _cells(maps: Features, count: int) -> Features:
    """Means over `count` x `count` cells, placed alike from the left and from the right."""
    side = maps.shape[1]
    edges = np.round(np.linspace(0, side, count + 1)).astype(np.int64)
    edges = np.minimum(edges, (side - edges)[::-1])
    across = [maps[:, low : max(high, low + 1)].mean(1) for low, high in zip(edges[:-1], edges[1:], strict=True)]
    rows = np.stack(across, 1)
    down = [rows[:, :, low : max(high, low + 1)].mean(2) for low, high in zip(edges[:-1], edges[1:], strict=True)]
    return np.stack(down, 2)


def _fit(features: Features, labels: NDArray[np.int64], classes: int) -> tuple[Features, Features, Features]:
    """Mean and scale of the features, and the ridge regression [width + 1, classes] of the classes on them."""
    mean, std = features.mean(0), features.std(0) + 1e-4
    scaled = (features - mean) / std
    counts = np.bincount(labels, minlength=classes)
    weight = (1 / np.maximum(counts, 1))[labels].astype(np.float32)
    weight *= len(labels) / weight.sum()
    wanted = np.eye(classes, dtype=np.float32)[labels]
    middle = (wanted * weight[:, None]).sum(0) / weight.sum()
    gram = (scaled * weight[:, None]).T @ scaled
    gram[np.diag_indices_from(gram)] += RIDGE * len(labels)
    solved = np.linalg.solve(gram, (scaled * weight[:, None]).T @ (wanted - middle))
    return mean, std, np.vstack([solved, middle]).astype(np.float32)


def _moved(kind: int, labels: NDArray[np.int64], answers: NDArray[np.int64]) -> Moved | None:
    """What mirroring does to one class, None where it does not destroy it; `answers` [2, n] are plain and mirrored.

    Chance is judged by McNemar's exact test, one-sided.
    """
    plain, mirrored = answers[:, labels == kind]
    lost = int(((plain == kind) & (mirrored != kind)).sum())
    won = int(((plain != kind) & (mirrored == kind)).sum())
    classes = int(labels.max()) + 1
    rises = np.bincount(mirrored, minlength=classes) - np.bincount(plain, minlength=classes)
    rises[kind] = 0
    after, images = int(rises.argmax()), len(plain)
    kept = int((plain == kind).sum()), int((mirrored == kind).sum())
    if (
        kept[1] > MOST_KEPT * kept[0]
        or rises[after] < LEAST_RISE * images
        or _chance(lost, lost + won) > DOUBT / classes
    ):
        return None
    return Moved(kind, after, images, *kept)


def _chance(heads: int, throws: int) -> float:
    """Probability of at least so many heads of a fair coin."""
    ways: int = sum(comb(throws, each) for each in range(heads, throws + 1))
    return ways / (1 << throws)
