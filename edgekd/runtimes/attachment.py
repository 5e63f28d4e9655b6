"""edgekd's record in files whose format has no place for it: a ZIP entry behind the model, as TFLite Metadata has it.

Flatbuffers are read from their beginning, a ZIP archive from its end, so each reader finds its own.
"""

import json
import zipfile
from pathlib import Path

from edgekd.errors import CheckpointError
from edgekd.runtimes.record import Record, read_record

ENTRY = "edgekd.json"
HEADER, NAME = b"PK\x03\x04", 26
"""How an entry begins, and how many bytes later its name does."""
END = 1 << 20
"""Bytes at a file's end that are searched for the beginning of a record whose rest is missing."""


def attach(path: Path, record: Record) -> None:
    """Add the record to a file that has none."""
    # a fixed date: the same model gives the same bytes
    entry = zipfile.ZipInfo(ENTRY, (1980, 1, 1, 0, 0, 0))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, json.dumps(record, sort_keys=True, ensure_ascii=False))


def read_attached(path: Path) -> Record | None:
    """The record in a file; None without one. Raises CheckpointError where it is damaged or cut short."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - END))
            after = stream.read().split(HEADER)[1:]
            name = ENTRY.encode()
            if any(name.startswith(part[NAME : NAME + len(name)]) for part in after):
                raise _damaged(path, "it ends within its metadata")
        return None
    with zipfile.ZipFile(path) as archive:
        if ENTRY not in archive.namelist():
            return None
        try:
            text = archive.read(ENTRY).decode()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise _damaged(path, f"its metadata: {error}") from error
    return read_record(text, path)


def _damaged(path: Path, words: str) -> CheckpointError:
    return CheckpointError(f"{path}: damaged or cut short ({words})", "export or copy it again")
