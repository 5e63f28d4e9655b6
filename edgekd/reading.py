"""The one way in for files that are read whole: regular files of bounded size, and pipes where a command names them."""

import json
import os
import select
import stat
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgekd.errors import BadInput

MOST_BYTES = 256_000_000
"""No manifest, plan or list of images is larger."""
PIPE_BYTES = 16_000_000
"""What a pipe or device may give."""
PIPE_SECONDS = 10.0
"""How long a pipe may take."""
AGAIN = "give another one, or make it again"
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def at_home(path: Path | str) -> Path:
    """The path with `~` as the home folder; where there is no such user, or no home, `~` is a folder's name."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own raises RuntimeError there


class Record(dict[str, Any]):
    """A JSON object read from `source`: a key that is not there raises `error` in words, not KeyError."""

    source: Path | str = "this file"
    error: type[BadInput] = BadInput

    def __missing__(self, key: str) -> Any:  # noqa: ANN401
        raise self.error(f"{self.source}: {key} is missing in it", AGAIN)


def read_bytes(path: Path, error: type[BadInput], hint: str = AGAIN, *, pipe: bool = False) -> bytes:
    """The content of a regular file, or of a `pipe` (also a device such as /dev/stdin) where that is allowed.

    Raises `error` for what cannot be read, is something else, is too large, or comes too slowly. Nothing is opened that
    could block or that has no end.
    """
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
        if kind == stat.S_IFREG:
            return _regular(path, error, hint)
        if pipe and kind in (stat.S_IFIFO, stat.S_IFCHR):
            return _piped(path, error)
    except FileNotFoundError as cause:
        raise error(f"{path}: no such file", hint) from cause
    except (OSError, ValueError) as cause:  # ValueError: a name with a NUL
        raise error(f"{path}: cannot be read ({getattr(cause, 'strerror', None) or cause})", hint) from cause
    raise error(f"{path}: is {_KINDS.get(kind, 'a device')}, not a regular file", hint)


def _regular(path: Path, error: type[BadInput], hint: str) -> bytes:
    with path.open("rb") as stream:
        content = stream.read(MOST_BYTES + 1) if path.stat().st_size <= MOST_BYTES else bytes(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise error(f"{path}: larger than {MOST_BYTES / 1e6:,.0f} MB, which no such file is", hint)
    return content


def _piped(path: Path, error: type[BadInput]) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    parts, size, end = list[bytes](), 0, time.monotonic() + PIPE_SECONDS
    try:
        while True:
            if not _is_ready(handle, end - time.monotonic()):
                raise error(f"{path}: did not end within {PIPE_SECONDS:.0f} s", "write the whole text and close it")
            part = os.read(handle, 1 << 20)
            size += len(part)
            if size > PIPE_BYTES:
                raise error(f"{path}: gives more than {PIPE_BYTES / 1e6:.0f} MB", "give a smaller one")
            if not part:
                return b"".join(parts)
            parts.append(part)
    finally:
        os.close(handle)


def _is_ready(handle: int, seconds: float) -> bool:
    """Whether there is something to read, or the end, within this time."""
    poll = select.poll()
    poll.register(handle, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(max(0, int(seconds * 1000)))) if seconds > 0 else False


def read_text(path: Path, error: type[BadInput], hint: str = AGAIN, *, pipe: bool = False) -> str:
    """The file as UTF-8; raises `error` like `read_bytes`, and for bytes that are none."""
    content = read_bytes(path, error, hint, pipe=pipe)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise error(f"{path}: not a text file ({cause})", hint) from cause


def read_json(path: Path, error: type[BadInput], hint: str = AGAIN, *, pipe: bool = False) -> Record:
    """Read a JSON object; raises `error` when it is missing, torn or not an object."""

    def recorded(pairs: dict[str, Any]) -> Record:
        found = Record(pairs)
        found.source, found.error = path, error
        return found

    try:
        value = json.loads(read_text(path, error, hint, pipe=pipe), object_hook=recorded)
    except (ValueError, RecursionError) as cause:
        raise error(f"{path}: cannot be read as JSON ({_cause(cause)})", hint) from cause
    if not isinstance(value, Record):
        raise error(f"{path}: holds no JSON object", hint)
    return value


def read_toml(path: Path, error: type[BadInput], hint: str = AGAIN, *, pipe: bool = False) -> dict[str, Any]:
    """Read a TOML file; raises `error` when it is missing or damaged."""
    try:
        return tomllib.loads(read_text(path, error, hint, pipe=pipe))
    except (ValueError, RecursionError) as cause:
        raise error(f"{path}: not valid TOML ({_cause(cause)})", hint) from cause


def _cause(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def read_lines(path: Path, error: type[BadInput]) -> list[dict[str, Any]]:
    """The JSON objects of a file of lines; none where there is no file.

    A line that a kill has torn is left out, and so is what is no object. Raises `error` for what is no text file.
    """
    if not path.exists():
        return []
    return list(_objects(read_bytes(path, error).splitlines()))


def _objects(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value
