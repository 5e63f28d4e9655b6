"""The decoded copy: every file's canvas in one .npy under the cache folder, with the files it was made from.

`<cache>/decoded/<key>/listing.json` names the array beside it and gives path, size, mtime and content hash of each
row. The array is written first and under a name of its own, so a reader finds old or new, never a mixture.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import BadInput
from edgekd.images import canvas
from edgekd.images.decoder import Examined, Form, examine
from edgekd.images.space import cache_root, touch
from edgekd.reading import read_json
from edgekd.report import Reporter
from edgekd.runs import atomic

_FORMAT = 1
_STALE_SECONDS = 24 * 3600


class Stamp(NamedTuple):
    """What tells that a file is still the one that was read."""

    path: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Copy:
    """Files in some order: what their content was, and their canvases unless these had no room."""

    stamps: tuple[Stamp, ...]
    examined: tuple[Examined, ...]
    canvases: NDArray[np.uint8] | None

    def rows(self) -> dict[Stamp, int]:
        """Which row belongs to which file."""
        return {stamp: row for row, stamp in enumerate(self.stamps)}


def place_of(root: Path, form: Form) -> Path:
    """The folder of the decoded copy of the images below `root`."""
    words = f"{root.resolve()}\n{form.side}\n{form.channels}\n{canvas.VERSION}\n{_FORMAT}"
    return cache_root() / "decoded" / hashlib.blake2b(words.encode(), digest_size=12).hexdigest()


def load_copy(folder: Path, form: Form) -> Copy | None:
    """The copy as it lies there, canvases mapped; None when there is none or it is damaged."""
    try:
        found = read_json(folder / "listing.json", BadInput)
        stamps = tuple(map(Stamp, found["paths"], found["sizes"], found["mtimes"]))
        examined = tuple(map(Examined, found["digests"], found["faults"]))
        canvases = np.load(folder / found["canvases"], mmap_mode="r") if found["canvases"] else None
    except (BadInput, KeyError, TypeError, ValueError, OSError):
        return None
    if len(examined) != len(stamps):
        return None
    if canvases is not None and canvases.shape != (len(stamps), form.side, form.side, form.channels):
        return None
    touch(folder)
    return Copy(stamps, examined, canvases)


def renew_copy(folder: Path, old: Copy | None, stamps: Sequence[Stamp], form: Form, report: Reporter) -> Copy | None:
    """Write a copy of these files; what `old` has is copied, the rest is read and decoded.

    Files of `old` that are not asked for stay as long as they are unchanged on disk. None when another process
    replaced it at the same moment.
    """
    known = old.rows() if old is not None and old.canvases is not None else {}
    wanted = set(stamps)
    kept = [stamp for stamp in known if stamp in wanted or _unchanged(stamp)]
    fresh = [stamp for stamp in stamps if stamp not in known]
    names = hashlib.blake2b(repr((kept, fresh)).encode(), digest_size=8).hexdigest()
    shape = (len(kept) + len(fresh), form.side, form.side, form.channels)

    examined = [old.examined[known[stamp]] for stamp in kept] if old is not None else []

    def fill(canvases: NDArray[np.uint8]) -> None:
        if old is not None and old.canvases is not None:
            for row, stamp in enumerate(kept):
                canvases[row] = old.canvases[known[stamp]]
        examined.extend(examine([stamp.path for stamp in fresh], form, canvases[len(kept) :], report))

    write_array(folder / f"canvases-{names}.npy", shape, fill)
    save_listing(folder, Copy((*kept, *fresh), tuple(examined), None), f"canvases-{names}.npy")
    return load_copy(folder, form)


def write_array(path: Path, shape: tuple[int, ...], fill: Callable[[NDArray[np.uint8]], None]) -> None:
    """Make a uint8 .npy atomically; `fill` writes into the mapped array."""
    with atomic(path) as beside:
        canvases = np.lib.format.open_memmap(beside, "w+", np.uint8, shape)
        _reserve(beside)
        fill(canvases)
        canvases.flush()
        # Windows renames no mapped file
        del canvases


def save_listing(folder: Path, copy: Copy, canvases: str) -> None:
    """Write the listing that makes `canvases` (a file name, or empty for none) current, and drop older arrays."""
    listing = {
        "format": _FORMAT,
        "canvases": canvases,
        "paths": [stamp.path for stamp in copy.stamps],
        "sizes": [stamp.size_bytes for stamp in copy.stamps],
        "mtimes": [stamp.mtime_ns for stamp in copy.stamps],
        "digests": [each.digest for each in copy.examined],
        "faults": [each.fault for each in copy.examined],
    }
    with atomic(folder / "listing.json") as beside:
        beside.write_text(json.dumps(listing), encoding="utf-8")
    for path in folder.iterdir():
        # another process may tidy up at the same time; Windows keeps what one has mapped
        with contextlib.suppress(OSError):
            stale = path.suffix == ".part" and time.time() - path.stat().st_mtime > _STALE_SECONDS
            if stale or (path.suffix == ".npy" and path.name != canvases):
                path.unlink()


def _unchanged(stamp: Stamp) -> bool:
    try:
        status = Path(stamp.path).stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (stamp.size_bytes, stamp.mtime_ns)


def _reserve(path: Path) -> None:
    """Claim the file's blocks now: a mapped file that meets a full disk later kills the process."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
