"""A cache's folder: which shards there must be, which are missing, when it is finished, and where caches lie.

Needs no torch: what only lists files does not load it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypedDict

from edgekd.cache.leftovers import sweep
from edgekd.cache.parts import ListingPart, read_parts
from edgekd.cache.plan import FORMAT, MEND, CachePlan
from edgekd.config import MOST_VIEWS, Caches
from edgekd.errors import CacheError, UsageError, nearest
from edgekd.reading import read_json
from edgekd.runs import write_json
from edgekd.values import Limits, check


@dataclass(frozen=True)
class Shard:
    """Rows `[start, stop)` of a view; `plan` and `part` are the digests of what they were made from."""

    plan: str
    part: str
    view: int
    number: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def path(self, folder: Path) -> Path:
        """Where the shard lies."""
        return folder / f"view-{self.view:04d}" / f"{self.number:05d}.safetensors"


class _Sealed(TypedDict):
    """A finished cache's manifest.json."""

    plan: str
    views: Annotated[int, Limits(1, MOST_VIEWS)]
    parts: Annotated[list[str], Limits(1)]


def shards_of(plan: CachePlan, parts: Sequence[ListingPart], view: int) -> list[Shard]:
    """The shards of a view, in order of their rows; neither batches nor shards cross parts."""
    digest, step, found = plan.digest(), plan.rows_per_shard, list[Shard]()
    for part in parts:
        for start in range(part.start, part.stop, step):
            found.append(Shard(digest, part.digest, view, len(found), start, min(start + step, part.stop)))
    return found


def all_shards(plan: CachePlan, parts: Sequence[ListingPart], views: int) -> list[Shard]:
    """Every shard of a cache with so many views, in writing order."""
    return [shard for view in range(views) for shard in shards_of(plan, parts, view)]


def missing_shards(folder: Path, shards: Sequence[Shard]) -> list[Shard]:
    """Those that are not there yet."""
    return [shard for shard in shards if not shard.path(folder).is_file()]


def seal(folder: Path, plan: CachePlan, parts: Sequence[ListingPart], views: int) -> None:
    """Write manifest.json, last of all: from then on the cache counts as whole with so many views and parts."""
    sweep(folder)
    digests = [part.digest for part in parts]
    write_json(folder / "manifest.json", {"format": FORMAT, "plan": plan.digest(), "views": views, "parts": digests})


def read_manifest(folder: Path, plan: CachePlan) -> tuple[int, int]:
    """Views and number of parts of a finished cache; raises CacheError when it is not finished or not consistent."""
    if not (folder / "manifest.json").is_file():
        raise CacheError(f"{folder}: was never finished", "call edgekd cache-logits again, it goes on where it stopped")
    path = folder / "manifest.json"
    manifest = check(read_json(path, CacheError), _Sealed, path, CacheError, MEND)
    digests = [part.digest for part in read_parts(folder)]
    listed, views = manifest["parts"], manifest["views"]
    if manifest["plan"] != plan.digest() or digests[: len(listed)] != listed:
        raise CacheError(
            f"{folder}: plan.json, parts/ and manifest.json do not belong together (one of them was changed)",
            MEND.replace("it", "them", 1),
        )
    return views, len(listed)


def cache_names(caches: Path) -> Iterator[Path]:
    """The folders of all caches, by name."""
    return (path.parent for path in sorted(caches.glob("[!.]*/plan.json")))


def find_cache(caches: Path, name: str) -> Path:
    """The folder of the cache called `name` in `caches`, or at that path; finished or not.

    Raises CacheError with the nearest names when there is none.
    """
    for folder in (Path(name), caches / name):
        if name and (folder / "plan.json").is_file():
            return folder
    known = [folder.name for folder in cache_names(caches)]
    raise CacheError(f"{name}: no such cache in {caches}", nearest(name, known))


def check_named(config: Caches) -> None:
    """Raise UsageError when no cache is named."""
    if not config.names:
        raise UsageError(f"cache {config.action}: which one?", f"edgekd cache {config.action} NAME; edgekd cache ls")


def the_one(config: Caches) -> Path:
    """The folder of the only cache named; raises UsageError for none and for several."""
    check_named(config)
    if len(config.names) > 1:
        raise UsageError(f"cache {config.action}: {len(config.names)} names", "give one at a time")
    return find_cache(config.caches, config.names[0])
