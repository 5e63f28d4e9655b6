"""What the files behind an option's value hold: a step is known by contents, not by what they are called."""

import hashlib
import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from edgekd.errors import EdgekdError
from edgekd.images.decoded import Stamp, stamp_of
from edgekd.images.folder import walk
from edgekd.images.named import NAMED, is_folder
from edgekd.images.space import cache_root
from edgekd.reading import at_home
from edgekd.runs import file_sum, write_once

IMAGES = ("data", "unlabelled")
"""Options that name a data set or a folder of images."""
FILES = ("teacher", "teacher_weights", "student", "student_weights", "model", "method", "device")
"""Options that may name a file or a run by its path."""


def by_contents(options: dict[str, Any]) -> dict[str, Any]:
    """The options with what they name on disk replaced by a hash of its contents; what is not there stays a name."""
    return {key: _told(key, value) for key, value in options.items()}


def _told(key: str, value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list | tuple):
        return [_told(key, each) for each in value]
    if not isinstance(value, str):
        return value
    if key in IMAGES and value not in NAMED and is_folder(value):
        return digest_of(at_home(value).absolute()) or value
    if key in FILES and os.sep in value:
        place, _, name = value.partition(".py:")
        found = digest_of(at_home(f"{place}.py" if name else place).absolute())
        return f"{found}:{name}" if found and name else found or value
    return value


@lru_cache
def digest_of(place: Path) -> str | None:
    """SHA-256 of a file, of a run's weights, or of the names and contents below a folder; None where nothing is."""
    for file in (place, place / "model.safetensors"):
        if file.is_file():
            return file_sum(file)
    return _of_folder(place) if place.is_dir() else None


def _of_folder(place: Path) -> str:
    """The folder's hash, recalled where the stamp of every image is what it was."""
    images = sorted((name, path) for path, name in walk(place))
    stamps = hashlib.sha256(repr([(name, _stamp(path)) for name, path in images]).encode()).hexdigest()
    known = cache_root() / "contents" / f"{stamps}.txt"
    with suppress(OSError, UnicodeDecodeError):
        return known.read_text(encoding="ascii")
    whole = hashlib.sha256()
    for name, path in images:
        told = file_sum(Path(path)) if _stamp(path) else "cannot be read"
        whole.update(f"{name}\0{told}\n".encode("utf-8", "surrogateescape"))
    with suppress(OSError, EdgekdError):
        known.parent.mkdir(parents=True, exist_ok=True)
        write_once(known, whole.hexdigest())
    return whole.hexdigest()


def _stamp(path: str) -> Stamp | None:
    with suppress(OSError):
        return stamp_of(path)
    return None
