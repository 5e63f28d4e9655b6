"""Many image files at once: a pool of threads reads, hashes and decodes them."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.cores import available_cores
from edgekd.errors import DataError
from edgekd.images.canvas import Aspect, BadImage, MeasuredCanvas, decode, measure, strict_pillow
from edgekd.ranks import own_cores
from edgekd.report import Reporter

LARGEST_BYTES = 2 * 10**9
"""Of an image file: more than Pillow's largest image takes uncompressed in 16-bit RGBA."""
_TASK = 32
"""Files per task of the pool: small files cost less than handing them over one by one."""


class Examined(NamedTuple):
    """One file after reading: hash of its bytes, and why it is no image (empty when it is one)."""

    digest: str
    fault: str


Known = tuple[str, NDArray[np.uint8]]
"""What is known of a content: its fault and its canvas."""


@dataclass(frozen=True)
class Form:
    """How every file is decoded: the canvas's shape, what becomes of other aspects, the bits of wide grey values."""

    side: int
    channels: int
    aspect: Aspect = "crop"
    grey_bits: int = 16

    @property
    def size_bytes(self) -> int:
        """Bytes of one canvas."""
        return self.side * self.side * self.channels

    def decode(self, content: bytes) -> NDArray[np.uint8]:
        """A file's bytes as canvas `[side, side, channels]`; raises BadImage."""
        return decode(content, self.side, self.channels, self.aspect, self.grey_bits)


def form_of(record: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> Form:
    """The form that a record names; what came later than the record's version is in `options`, where there are any."""
    more = record if options is None else options
    return Form(record["canvas"], record["channels"], more.get("aspect", "crop"), int(more.get("grey_bits", 16)))


def examine(
    paths: Sequence[str],
    form: Form,
    into: NDArray[np.uint8] | None,
    report: Reporter,
    recall: Callable[[str], Known | None] | None = None,
) -> list[Examined]:
    """Read, hash and decode every file; canvases go to the rows of `into` (None: they are only tried).

    What `recall` knows by the hash of the content is not decoded. Raises DataError when a file cannot be read at all;
    undecodable ones are reported in the result.
    """
    tasks = [range(first, min(first + _TASK, len(paths))) for first in range(0, len(paths), _TASK)]

    def work(rows: range) -> list[Examined]:
        return [_examine_one(paths[row], form, None if into is None else into[row], recall) for row in rows]

    found: list[Examined] = []
    with report.stage("Reading images", len(paths), "images") as progress, threads() as pool:
        for part in pool.map(work, tasks):
            found += part
            progress.advance(len(part))
    return found


def digest_of(content: bytes) -> str:
    """The hash by which the content of a file is known."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _examine_one(
    path: str, form: Form, into: NDArray[np.uint8] | None, recall: Callable[[str], Known | None] | None
) -> Examined:
    content = read(path)
    digest = digest_of(content)
    known = recall(digest) if recall is not None and into is not None else None
    if known is not None and into is not None:
        into[...] = known[1]
        return Examined(digest, known[0])
    try:
        canvas = form.decode(content)
    except BadImage as error:
        return Examined(digest, str(error))
    if into is not None:
        into[...] = canvas
    return Examined(digest, "")


def measure_all(paths: Sequence[str]) -> list[MeasuredCanvas]:
    """Size and values of each file that is an image."""

    def work(path: str) -> MeasuredCanvas | None:
        try:
            return measure(read(path))
        except (BadImage, DataError):
            return None

    with threads() as pool:
        return [found for found in pool.map(work, paths) if found is not None]


def read(path: str) -> bytes:
    """A regular file's bytes; raises DataError in words, also for pipes, devices and files no image can need."""
    try:
        # a pipe without a writer would hold up a plain open for ever
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(handle, "rb") as stream:  # noqa: PTH123 - of a handle
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise DataError(f"{path}: not a regular file", "pipes and devices are not read: give a file")
            if status.st_size > LARGEST_BYTES:
                raise DataError(
                    f"{path}: {status.st_size:,} bytes are more than an image may have ({LARGEST_BYTES:,})",
                    "remove it or make it smaller",
                )
            return stream.read(LARGEST_BYTES + 1)
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
    """Canvases decoded from their files whenever they are requested; an `imageset.Pixels` of any size."""

    paths: tuple[str, ...]
    form: Form
    digests: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Images, side, side, channels."""
        return len(self.paths), self.form.side, self.form.side, self.form.channels

    def gather(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The canvases of these rows; raises DataError when a file has gone bad since it was listed."""
        canvases = np.empty((len(rows), *self.shape[1:]), np.uint8)
        with threads(own_cores()) as pool:
            for place, canvas in enumerate(pool.map(self._decode_one, rows.tolist())):
                canvases[place] = canvas
        return canvases

    def _decode_one(self, row: int) -> NDArray[np.uint8]:
        path = self.paths[row]
        content = read(path)
        if digest_of(content) != self.digests[row]:
            raise DataError(f"{path}: changed since it was listed", "start the command again")
        try:
            return self.form.decode(content)
        except BadImage as error:
            raise DataError(f"{path}: {error}", "it was good when it was listed: start the command again") from error
