"""Logits that a teacher elsewhere wrote into a .npz or .csv file, read and put into the order of our images."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import CacheError, UsageError
from edgekd.images.arrays import read_arrays
from edgekd.images.space import free_memory

LONGEST_LINE = 16_000_000
FORM = "docs/teachers.md describes the file"


@dataclass(frozen=True)
class LogitFile:
    """`logits` float32 [rows, classes]; the rows' images and the columns' classes where the file names them."""

    path: Path
    logits: NDArray[np.float32]
    paths: tuple[str, ...] | None
    classes: tuple[str, ...] | None


def read_logits(path: Path) -> LogitFile:
    """Read a file; raises CacheError naming what is wrong in it, UsageError for another kind of file."""
    readers = {".npz": _read_npz, ".csv": _read_csv}
    if path.suffix.lower() not in readers:
        raise UsageError(f"--import {path}: neither .npz nor .csv", FORM)
    if not path.is_file():
        raise CacheError(f"--import {path}: no such file", "give a .npz or .csv file with logits")
    found = readers[path.suffix.lower()](path)
    bad = np.flatnonzero(~np.isfinite(found.logits).all(1))
    if len(bad):
        row = int(bad[0])
        where = f" ({found.paths[row]})" if found.paths else ""
        raise CacheError(
            f"{path}: {len(bad):,} rows are not all finite numbers, the first is row {row}{where}",
            "mend the teacher that wrote them: every logit must be a number",
        )
    return found


def rows_for(found: LogitFile, paths: Sequence[str]) -> NDArray[np.int64]:
    """The file's row of each image, `[len(paths)]`.

    Raises CacheError when the file lists an image twice, one that is not there, or not all of them; a file without
    paths must have a row for each, in the order of the listing.
    """
    if found.paths is None:
        if len(found.logits) != len(paths):
            raise CacheError(
                f"{found.path}: has {len(found.logits):,} rows, the data has {len(paths):,} training images",
                "without `paths` there must be a row for each, by path in order (give the same --limit)",
            )
        return np.arange(len(paths))
    twice = [path for path, count in Counter(found.paths).items() if count > 1]
    strange = _first_unknown(found.paths, paths)
    missing = _first_unknown(paths, found.paths)
    told = [(twice, "are listed twice"), (strange, "are no images of the data"), (missing, "of the data are missing")]
    words = [f"{len(names):,} {what} ({names[0]})" for names, what in told if names]
    if words:
        raise CacheError(
            f"{found.path}: of its {len(found.paths):,} paths {'; '.join(words)}",
            f"paths are as in {paths[0]!r}, each once, for all {len(paths):,} training images (val is among them)",
        )
    places = {path: row for row, path in enumerate(found.paths)}
    return np.array([places[path] for path in paths], np.int64)


def _first_unknown(names: Iterable[str], known: Iterable[str]) -> list[str]:
    there = set(known)
    return [name for name in names if name not in there]


def in_class_order(found: LogitFile, classes: Sequence[str]) -> NDArray[np.float32]:
    """The logits with a column for each class, in this order; raises CacheError when the classes are others."""
    width = found.logits.shape[1]
    if width != len(classes):
        raise CacheError(
            f"{found.path}: has {width} logits a row, the data has {len(classes)} classes",
            "give the logits of a teacher of these classes, or its data (--data)",
        )
    if found.classes is None or found.classes == tuple(classes):
        return found.logits
    strange, missing = _first_unknown(found.classes, classes), _first_unknown(classes, found.classes)
    if strange or missing:
        names = f"{strange[0]} is none of the data's" if strange else f"{missing[0]} is missing"
        raise CacheError(f"{found.path}: other classes than the data: {names}", f"the data's: {', '.join(classes)}")
    return found.logits[:, [found.classes.index(name) for name in classes]]


def _read_npz(path: Path) -> LogitFile:
    known = read_arrays(path, ("logits", "paths", "classes"), free_memory() / 2, CacheError)
    if "logits" not in known or known["logits"].dtype.kind != "f" or known["logits"].ndim not in (2, 3):
        there = f"{known['logits'].dtype} {list(known['logits'].shape)}" if "logits" in known else "not there"
        raise CacheError(f"{path}: `logits` is {there}, wanted are floats [images, classes]", FORM)
    logits = known["logits"]
    if logits.ndim == 3:
        if len(logits) != 1:
            raise CacheError(
                f"{path}: holds {len(logits)} views, and it is unknown which pixels they showed",
                "give the logits of the plain images alone: [images, classes]",
            )
        logits = logits[0]
    paths, classes = _names(path, known, "paths", len(logits)), _names(path, known, "classes", logits.shape[1])
    return LogitFile(path, logits.astype(np.float32), paths, classes)


def _names(path: Path, known: dict[str, NDArray[Any]], name: str, count: int) -> tuple[str, ...] | None:
    if name not in known:
        return None
    values = known[name]
    if values.dtype.kind not in "US" or values.shape != (count,):
        raise CacheError(f"{path}: `{name}` is {values.dtype} {list(values.shape)}, wanted are {count} texts", FORM)
    return tuple(np.char.decode(values, "utf-8").tolist() if values.dtype.kind == "S" else values.tolist())


def _read_csv(path: Path) -> LogitFile:
    names, rows = list[str](), list[NDArray[np.float32]]()
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = csv.reader(_lines(stream, path))
            header = next(lines, [])
            if len(header) < 2 or header[0] != "path":
                raise CacheError(f"{path}: its first line is no header path,CLASS,CLASS,...", FORM)
            for cells in filter(None, lines):
                names.append(cells[0])
                rows.append(_numbers(cells, len(header), f"{path}, line {lines.line_num}"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CacheError(f"{path}: cannot be read as CSV ({error})", FORM) from error
    if not rows:
        raise CacheError(f"{path}: has no rows", FORM)
    return LogitFile(path, np.stack(rows), tuple(names), tuple(header[1:]))


def _lines(stream: TextIO, path: Path) -> Iterator[str]:
    """Lines of bounded length: a file without an end of line would fill the memory."""
    while line := stream.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise CacheError(f"{path}: has a line of more than {LONGEST_LINE / 1e6:.0f} million characters", FORM)
        yield line


def _numbers(cells: list[str], width: int, place: str) -> NDArray[np.float32]:
    if len(cells) != width:
        raise CacheError(f"{place}: {len(cells)} columns instead of {width}", FORM)
    try:
        return np.array(cells[1:], np.float32)
    except ValueError as error:
        raise CacheError(f"{place}: not a number ({error})", "logits are numbers such as -1.25") from error
