"""Which images a cache has rows for: parts, each a list of (path, content hash); images added later are a new part."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd.cache.parts import AGAIN, ListingPart, part_path
from edgekd.errors import CacheError
from edgekd.images.imageset import Listing
from edgekd.reading import read_bytes
from edgekd.runs import write_once
from edgekd.values import check


@dataclass(frozen=True)
class ImageMatch:
    """Where the images of a data set are in a cache: `ids` [images] are their rows, those of new images follow on."""

    ids: NDArray[np.int64]
    new: NDArray[np.int64]


def write_part(folder: Path, number: int, listing: Listing, rows: Sequence[int], partners: str = "") -> None:
    """Keep the list of a part: a JSON line [path, hash] for each of these rows; if it is there already, it stays.

    What is there afterwards may be another process's list, of other images: `match` must look again.
    """
    if partners:
        write_once(part_path(folder, number).with_suffix(".partners"), partners)
    lines = [json.dumps([listing.paths[row], listing.hashes[row]]) for row in rows]
    write_once(part_path(folder, number), "\n".join(lines) + "\n")


def read_listing(folder: Path, parts: Sequence[ListingPart]) -> Listing:
    """Path and hash of every row; raises CacheError when a list cannot be read."""
    pairs: list[tuple[str, str]] = []
    for number in range(len(parts)):
        path = part_path(folder, number)
        try:
            lines = [json.loads(line) for line in read_bytes(path, CacheError, AGAIN).split(b"\n") if line]
        except (ValueError, RecursionError) as error:
            raise CacheError(f"{path}: cannot be read ({error})", AGAIN) from error
        pairs += check(lines, list[tuple[str, str]], path, CacheError, AGAIN)
    return Listing(tuple(path for path, _ in pairs), tuple(content for _, content in pairs))


def match(folder: Path, parts: Sequence[ListingPart], listing: Listing) -> ImageMatch:
    """Find the images of `listing` in the cache.

    Raises CacheError, naming an image, when one of the cache's is gone or has other content.
    """
    known = read_listing(folder, parts)
    if known == listing:
        return ImageMatch(np.arange(len(known.paths)), np.empty(0, np.int64))
    places = {path: row for row, path in enumerate(known.paths)}
    ids = np.array([places.get(path, -1) for path in listing.paths], np.int64)
    _check_kept(folder, known, listing, ids)
    new = np.flatnonzero(ids < 0)
    ids[new] = len(known.paths) + np.arange(len(new))
    return ImageMatch(ids, new)


def _check_kept(folder: Path, known: Listing, listing: Listing, ids: NDArray[np.int64]) -> None:
    here = set(listing.paths)
    gone = [path for path in known.paths if path not in here]
    changed = [listing.paths[row] for row, at in enumerate(ids) if at >= 0 and known.hashes[at] != listing.hashes[row]]
    told = [(gone, "not there any more"), (changed, "of other content now")]
    words = [f"{len(found):,} images are {what} ({found[0]})" for found, what in told if found]
    if words:
        raise CacheError(
            f"{folder}: does not fit, it has {len(known.paths):,} images, the data {len(ids):,}: {'; '.join(words)}",
            "restore the images (or give the same --limit), or make the cache anew: edgekd cache-logits --overwrite "
            "(--name NAME makes another beside it)",
        )


def check_partners(folder: Path, parts: Sequence[ListingPart], partners: Sequence[str]) -> None:
    """Raise CacheError when images are mixed with others than when the cache was made."""
    if partners and [part.partners for part in parts] != list(partners[: len(parts)]):
        raise CacheError(
            f"{folder}: does not fit: images are mixed within their split, and the split is another one now",
            "give the same --val-fraction and --split-seed, or make the cache anew: edgekd cache-logits --overwrite",
        )
