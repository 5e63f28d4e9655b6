"""Many image files at once: a pool of threads reads, hashes and decodes them."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.cores import available_cores
from edgekd.errors import DataError
from edgekd.images.canvas import BadImage, decode, measure, strict_pillow
from edgekd.ranks import own_cores
from edgekd.report import Reporter

_TASK = 32
"""Files per task of the pool: small files cost less than handing them over one by one."""


class Examined(NamedTuple):
    """One file after reading: hash of its bytes, and why it is no image (empty when it is one)."""

    digest: str
    fault: str


@dataclass(frozen=True)
class Form:
    """The shape every file is decoded to."""

    side: int
    channels: int

    @property
    def size_bytes(self) -> int:
        """Bytes of one canvas."""
        return self.side * self.side * self.channels


def examine(paths: Sequence[str], form: Form, into: NDArray[np.uint8] | None, report: Reporter) -> list[Examined]:
    """Read, hash and decode every file; canvases go to the rows of `into` (None: they are only tried).

    Raises DataError when a file cannot be read at all; undecodable ones are reported in the result.
    """
    tasks = [range(first, min(first + _TASK, len(paths))) for first in range(0, len(paths), _TASK)]

    def work(rows: range) -> list[Examined]:
        return [_examine_one(paths[row], form, None if into is None else into[row]) for row in rows]

    found: list[Examined] = []
    with report.stage("Reading images", len(paths), "images") as progress, threads() as pool:
        for part in pool.map(work, tasks):
            found += part
            progress.advance(len(part))
    return found


def _examine_one(path: str, form: Form, into: NDArray[np.uint8] | None) -> Examined:
    content = read(path)
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    try:
        canvas = decode(content, form.side, form.channels)
    except BadImage as error:
        return Examined(digest, str(error))
    if into is not None:
        into[...] = canvas
    return Examined(digest, "")


def measure_all(paths: Sequence[str]) -> list[tuple[int, bool]]:
    """Short side in pixels and all-grey of each file that is an image."""

    def work(path: str) -> tuple[int, bool] | None:
        try:
            return measure(read(path))
        except (BadImage, DataError):
            return None

    with threads() as pool:
        return [found for found in pool.map(work, paths) if found is not None]


def read(path: str) -> bytes:
    """A file's bytes; raises DataError in words."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error})", "check that the file is there and yours to read"
        ) from error


@contextmanager
def threads(count: int | None = None) -> Iterator[ThreadPoolExecutor]:
    """A pool of so many threads, else of all cores: data sets are opened by one process at a time.

    It drops what has not begun when it is left early, so that Ctrl-C and errors do not wait.
    """
    pool = ThreadPoolExecutor(count or available_cores())
    try:
        with strict_pillow():
            yield pool
            pool.shutdown()
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class Files:
    """Canvases decoded from their files whenever they are asked for; an `imageset.Pixels` of any size."""

    paths: tuple[str, ...]
    form: Form

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Images, side, side, channels."""
        return len(self.paths), self.form.side, self.form.side, self.form.channels

    def gather(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The canvases of these rows; raises DataError when a file has gone bad since it was listed."""
        canvases = np.empty((len(rows), *self.shape[1:]), np.uint8)
        wanted = [self.paths[row] for row in rows.tolist()]
        with threads(own_cores()) as pool:
            for place, canvas in enumerate(pool.map(self._decode_one, wanted)):
                canvases[place] = canvas
        return canvases

    def _decode_one(self, path: str) -> NDArray[np.uint8]:
        try:
            return decode(read(path), self.form.side, self.form.channels)
        except BadImage as error:
            raise DataError(f"{path}: {error}", "it was good when it was listed: start the command again") from error
