"""The decoded copy: every file's canvas in one .npy under the cache folder, with the files it was made from.

`<cache>/decoded/<key>/listing.json` names the array beside it and gives path, size, times, inode and content hash of
each row. The array is written first and under a name of its own, so a reader finds old or new, never a mixture.
"""

import contextlib
import errno
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import BadInput
from edgekd.images import canvas
from edgekd.images.decoder import Examined, Form, Known, examine
from edgekd.images.space import cache_root, touch
from edgekd.reading import read_json
from edgekd.report import Reporter
from edgekd.runs import atomic

_FORMAT = 2
_STALE_SECONDS = 24 * 3600


class Stamp(NamedTuple):
    """What tells that a file is still the one that was read.

    Size and mtime are kept by `mv`, `rsync -t` and `tar`; the time of the last change of the inode is not.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True)
class Copy:
    """Files in some order: what their content was, and their canvases unless these had no room."""

    stamps: tuple[Stamp, ...]
    examined: tuple[Examined, ...]
    canvases: NDArray[np.uint8] | None

    def rows(self) -> dict[Stamp, int]:
        """Which row belongs to which file."""
        return {stamp: row for row, stamp in enumerate(self.stamps)}

    @cached_property
    def _contents(self) -> dict[str, int]:
        return {each.digest: row for row, each in enumerate(self.examined)}

    def recall(self, digest: str) -> Known | None:
        """The fault and the canvas of this content, whatever file it was in; None where it was not seen."""
        row = self._contents.get(digest)
        if row is None or self.canvases is None:
            return None
        return self.examined[row].fault, self.canvases[row]


def place_of(root: Path, form: Form) -> Path:
    """The folder of the decoded copy of the images below `root`."""
    words = f"{root.resolve()}\n{form}\n{canvas.VERSION}\n{_FORMAT}"
    return cache_root() / "decoded" / hashlib.blake2b(os.fsencode(words), digest_size=12).hexdigest()


def stamp_of(path: str) -> Stamp:
    """The stamp of a file as it is now; raises OSError, also for what is no regular file."""
    status = os.stat(path)  # noqa: PTH116 - a Path costs more than the call, once per image
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
    return Stamp(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def load_copy(folder: Path, form: Form) -> Copy | None:
    """The copy as it lies there, canvases mapped; None when there is none or it is damaged."""
    try:
        found = read_json(folder / "listing.json", BadInput)
        paths = [found["shared"] + path for path in found["paths"]]
        stamps = tuple(map(Stamp, paths, *(found[name] for name in ("sizes", "mtimes", "ctimes", "inodes"))))
        examined = tuple(map(Examined, found["digests"], found["faults"]))
        canvases = np.load(folder / found["canvases"], mmap_mode="r") if found["canvases"] else None
    except (BadInput, KeyError, TypeError, ValueError, AttributeError, OverflowError, EOFError, OSError):
        return None
    if len(examined) != len(stamps):
        return None
    if canvases is not None and not is_array(canvases, (len(stamps), form.side, form.side, form.channels)):
        return None
    touch(folder)
    return Copy(stamps, examined, canvases)


def renew_copy(folder: Path, old: Copy | None, stamps: Sequence[Stamp], form: Form, report: Reporter) -> Copy | None:
    """Write a copy of these files; what `old` has is copied, the rest is read, and decoded where its content is new.

    Files of `old` that are not requested stay as long as they are unchanged on disk. None when another process
    replaced it at the same moment.
    """
    known = old.rows() if old is not None and old.canvases is not None else {}
    wanted = set(stamps)
    kept = [stamp for stamp in known if stamp in wanted or _unchanged(stamp)]
    fresh = list(dict.fromkeys(stamp for stamp in stamps if stamp not in known))
    names = hashlib.blake2b(repr((kept, fresh)).encode(), digest_size=8).hexdigest()
    shape = (len(kept) + len(fresh), form.side, form.side, form.channels)

    examined = [old.examined[known[stamp]] for stamp in kept] if old is not None else []

    def fill(canvases: NDArray[np.uint8]) -> None:
        if old is not None and old.canvases is not None:
            for row, stamp in enumerate(kept):
                canvases[row] = old.canvases[known[stamp]]
        paths = [stamp.path for stamp in fresh]
        examined.extend(examine(paths, form, canvases[len(kept) :], report, None if old is None else old.recall))

    write_array(folder / f"canvases-{names}.npy", shape, fill)
    save_listing(folder, Copy((*kept, *fresh), tuple(examined), None), f"canvases-{names}.npy")
    return load_copy(folder, form)


def is_array(found: Any, shape: tuple[int, ...]) -> bool:  # noqa: ANN401
    """Whether what was read from a .npy file is bytes of this shape."""
    return isinstance(found, np.ndarray) and found.shape == shape and found.dtype == np.uint8


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
    shared = os.path.commonprefix([stamp.path for stamp in copy.stamps])
    listing = {
        "format": _FORMAT,
        "canvases": canvases,
        "shared": shared,
        "paths": [stamp.path.removeprefix(shared) for stamp in copy.stamps],
        "sizes": [stamp.size_bytes for stamp in copy.stamps],
        "mtimes": [stamp.mtime_ns for stamp in copy.stamps],
        "ctimes": [stamp.ctime_ns for stamp in copy.stamps],
        "inodes": [stamp.inode for stamp in copy.stamps],
        "digests": [each.digest for each in copy.examined],
        "faults": [each.fault for each in copy.examined],
    }
    with atomic(folder / "listing.json") as beside:
        beside.write_text(json.dumps(listing, separators=(",", ":")), encoding="utf-8")
    for path in folder.iterdir():
        # another process may tidy up at the same time; Windows keeps what one has mapped
        with contextlib.suppress(OSError):
            stale = path.suffix == ".part" and time.time() - path.stat().st_mtime > _STALE_SECONDS
            if stale or (path.suffix == ".npy" and path.name != canvases):
                path.unlink()


def _unchanged(stamp: Stamp) -> bool:
    try:
        return stamp_of(stamp.path) == stamp
    except OSError:
        return False


def _reserve(path: Path) -> None:
    """Claim the file's blocks now: a mapped file that meets a full disk later kills the process."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
