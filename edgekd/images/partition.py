"""Parts of a listing: stratified by class, and a pure function of (seed, path), so every process agrees."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import UsageError


def hold_out(paths: Sequence[str], targets: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Which labelled images to keep out of training: of each class with two or more, at least one."""
    rank = _ranks(paths, seed)
    chosen = np.zeros(len(paths), bool)
    for target in np.unique(targets[targets >= 0]):
        rows = np.flatnonzero(targets == target)
        if len(rows) > 1:
            count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
            chosen[rows[np.argsort(rank[rows], kind="stable")[:count]]] = True
    return chosen


def keep_labels(paths: Sequence[str], targets: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.int64]:
    """The targets of which each class keeps this share, at least two; the others are -1."""
    rank, found = _ranks(paths, seed), np.full_like(targets, -1)
    for target in np.unique(targets[targets >= 0]):
        rows = np.flatnonzero(targets == target)
        found[rows[np.argsort(rank[rows], kind="stable")[: max(2, round(fraction * len(rows)))]]] = target
    return found


def limit(paths: Sequence[str], targets: NDArray[np.int64], most: int | None) -> NDArray[np.int64]:
    """Rows of at most `most` images in the same proportions (unlabelled ones are one more class), sorted.

    Raises UsageError when that is less than two per class.
    """
    kinds, sizes = np.unique(targets, return_counts=True)
    if most is None or most >= len(paths):
        return np.arange(len(paths))
    least = np.where(kinds >= 0, np.minimum(sizes, 2), 0)
    if most < least.sum():
        raise UsageError(
            f"--limit {most}: fewer than two images for each of {np.sum(kinds >= 0)} classes",
            f"give at least {least.sum()}",
        )
    rank = _ranks(paths, 0)
    shares = _shares(sizes, least, most)
    chosen = [
        rows[np.argsort(rank[rows], kind="stable")[:share]]
        for kind, share in zip(kinds, shares.tolist(), strict=True)
        for rows in [np.flatnonzero(targets == kind)]
    ]
    return np.sort(np.concatenate(chosen))


def _shares(sizes: NDArray[np.int64], least: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Whole numbers in proportion to `sizes`, from `least` on, `most` in total."""
    rest = most - int(least.sum())
    spare = sizes - least
    shares = spare * rest // max(int(spare.sum()), 1)
    remainder = spare * rest % max(int(spare.sum()), 1)
    for kind in np.argsort(-remainder, kind="stable")[: rest - int(shares.sum())]:
        shares[kind] += 1
    return least + shares


def _ranks(paths: Sequence[str], seed: int) -> NDArray[np.uint64]:
    words = (f"{seed}/{path}".encode("utf-8", "surrogateescape") for path in paths)
    digests = b"".join(hashlib.blake2b(word, digest_size=8).digest() for word in words)
    return np.frombuffer(digests, ">u8").astype(np.uint64)
