"""Image files as canvases: from memory, from the decoded copy, or decoded when requested, whatever has room."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekd.errors import DataError
from edgekd.images.decoded import Copy, Stamp, load_copy, place_of, renew_copy, save_listing, stamp_of
from edgekd.images.decoder import Examined, Files, Form, examine
from edgekd.images.imageset import Pixels
from edgekd.images.pixels import Array, choose
from edgekd.images.space import GB, fits_memory, has_room, is_writable, tell_place
from edgekd.report import Reporter


@dataclass(frozen=True)
class Opened:
    """Files as canvases, one row each; the row of a file with a fault is blank."""

    pixels: Pixels
    examined: tuple[Examined, ...]


def open_files(root: Path, paths: Sequence[str], form: Form, budget_gb: float, report: Reporter) -> Opened:
    """Canvases of these files, all below `root`, read and decoded only where the decoded copy lacks them.

    Raises DataError for a file that cannot be read at all.
    """
    stamps = tuple(_stamp(path) for path in paths)
    tell_place(report)
    folder = place_of(root, form)
    copy = load_copy(folder, form)
    opened = _from_copy(copy, stamps)
    if opened is None:
        known = set(copy.stamps) if copy and copy.canvases is not None else set()
        size = form.size_bytes * len(known.union(stamps))
        if has_room(folder, size, budget_gb):
            opened = _from_copy(renew_copy(folder, copy, stamps, form, report), stamps)
        elif budget_gb:
            report.note(_why_no_copy(folder, size, budget_gb))
    if opened is not None:
        return opened
    if fits_memory(form.size_bytes * len(paths)):
        canvases = np.zeros((len(paths), form.side, form.side, form.channels), np.uint8)
        return Opened(Array(canvases), tuple(examine(paths, form, canvases, report)))
    return _streamed(folder, copy, stamps, form, report)


def _why_no_copy(folder: Path, size: int, budget_gb: float) -> str:
    if not is_writable(folder):
        return f"no decoded copy is kept: {folder} cannot be written (the variable EDGEKD_CACHE names another place)"
    if size > budget_gb * GB:
        return f"no decoded copy is kept: {size / GB:.2g} GB are more than --decoded-cache {budget_gb:g}"
    return f"no decoded copy is kept: the disk of {folder} has no room for {size / GB:.2g} GB (EDGEKD_CACHE)"


def _from_copy(copy: Copy | None, stamps: tuple[Stamp, ...]) -> Opened | None:
    """The canvases of these files out of the copy; None when it lacks one."""
    if copy is None or copy.canvases is None:
        return None
    row_of = copy.rows()
    found = [row_of.get(stamp, -1) for stamp in stamps]
    rows = np.array(found, np.int64)
    if (rows < 0).any():
        return None
    pixels = choose(Array(copy.canvases), rows)
    if fits_memory(copy.canvases[:1].nbytes * len(rows)):
        pixels = Array(pixels.gather(np.arange(len(rows))))
    return Opened(pixels, tuple(copy.examined[row] for row in found))


def _streamed(folder: Path, copy: Copy | None, stamps: tuple[Stamp, ...], form: Form, report: Reporter) -> Opened:
    """Neither memory nor disk can hold them: every file is tried once, and that is remembered."""
    known = dict(zip(copy.stamps, copy.examined, strict=True)) if copy else {}
    fresh = [stamp for stamp in stamps if stamp not in known]
    if fresh:
        known.update(zip(fresh, examine([stamp.path for stamp in fresh], form, None, report), strict=True))
        # where nothing can be written the next start tries every file again, no worse
        with contextlib.suppress(DataError):
            save_listing(folder, Copy(tuple(known), tuple(known.values()), None), "")
    examined = tuple(known[stamp] for stamp in stamps)
    digests = tuple(each.digest for each in examined)
    return Opened(Files(tuple(stamp.path for stamp in stamps), form, digests), examined)


def _stamp(path: str) -> Stamp:
    try:
        return stamp_of(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", "check that the link or file is whole") from error
