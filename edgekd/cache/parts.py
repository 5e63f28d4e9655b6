"""The parts of a cache: how many rows each has and the digest of their list; without numpy, which a listing needs."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edgekd.errors import CacheError
from edgekd.reading import read_bytes, read_text

AGAIN = "make the cache again"


@dataclass(frozen=True)
class ListingPart:
    """Rows `[start, stop)` of a cache; `digest` is the SHA-256 of their list.

    `partners` is the digest of who is mixed with whom (empty where views are not mixed); it is part of `digest`.
    """

    start: int
    stop: int
    digest: str
    partners: str = ""


def part_path(folder: Path, number: int) -> Path:
    """Where the list of a part lies."""
    return folder / "parts" / f"{number:05d}.jsonl"


def read_parts(folder: Path) -> list[ListingPart]:
    """The parts there are, in order."""
    found: list[ListingPart] = []
    while (path := part_path(folder, len(found))).is_file():
        content = read_bytes(path, CacheError, AGAIN)
        mixed = path.with_suffix(".partners")
        partners = read_text(mixed, CacheError, AGAIN) if mixed.is_file() else ""
        start = found[-1].stop if found else 0
        digest = hashlib.sha256(content + partners.encode()).hexdigest()
        found.append(ListingPart(start, start + content.count(b"\n"), digest, partners))
    return found
