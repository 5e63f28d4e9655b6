"""A cache on disk: which shards there must be, which are missing, and reading rows by (view, index)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekd.cache.columns import decode
from edgekd.cache.leftovers import sweep
from edgekd.cache.listing import Part, read_parts
from edgekd.cache.plan import FORMAT, MEND, Plan, read_plan
from edgekd.cache.shards import Shard, read_shard
from edgekd.config import MOST_VIEWS
from edgekd.errors import CacheError, nearest
from edgekd.reading import read_json
from edgekd.runs import write_json
from edgekd.values import Limits, check

JOINED_BYTES = 128_000_000
"""A view no larger than this is held in memory in one piece, so that a batch is one gather."""


class _Sealed(TypedDict):
    """A finished cache's manifest.json."""

    plan: str
    views: Annotated[int, Limits(1, MOST_VIEWS)]
    parts: Annotated[list[str], Limits(1)]


def shards_of(plan: Plan, parts: Sequence[Part], view: int) -> list[Shard]:
    """The shards of a view, in order of their rows; neither batches nor shards cross parts."""
    digest, step, found = plan.digest(), plan.rows_per_shard, list[Shard]()
    for part in parts:
        for start in range(part.start, part.stop, step):
            found.append(Shard(digest, part.digest, view, len(found), start, min(start + step, part.stop)))
    return found


def all_shards(plan: Plan, parts: Sequence[Part], views: int) -> list[Shard]:
    """Every shard of a cache with so many views, in writing order."""
    return [shard for view in range(views) for shard in shards_of(plan, parts, view)]


def missing_shards(folder: Path, shards: Sequence[Shard]) -> list[Shard]:
    """Those that are not there yet."""
    return [shard for shard in shards if not shard.path(folder).is_file()]


def seal(folder: Path, plan: Plan, parts: Sequence[Part], views: int) -> None:
    """Write manifest.json, last of all: from then on the cache counts as whole with so many views and parts."""
    sweep(folder)
    digests = [part.digest for part in parts]
    write_json(folder / "manifest.json", {"format": FORMAT, "plan": plan.digest(), "views": views, "parts": digests})


@dataclass
class LogitCache:
    """A whole cache, open for reading; shards are mapped when first asked for, and checked once."""

    folder: Path
    plan: Plan
    parts: tuple[Part, ...]
    views: int
    _view: int = -1
    _shards: list[Shard] = field(default_factory=list)
    _starts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    _open: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    _whole: dict[str, Tensor] = field(default_factory=dict)
    _checked: set[tuple[int, int]] = field(default_factory=set)

    @property
    def rows(self) -> int:
        """Images in the cache."""
        return self.parts[-1].stop

    def logits(self, view: int, index: NDArray[np.int64]) -> Tensor:
        """The teacher's logits, float32 [len(index), classes], of these images in this view."""
        names = tuple(name for name in self.plan.columns if name not in self.plan.extras)
        return decode(self.read(view, index, names), self.plan.store, self.plan.classes)

    def read(self, view: int, index: NDArray[np.int64], names: Sequence[str]) -> dict[str, Tensor]:
        """Stored columns [len(index), ...] as they are, of these images in this view.

        Raises CacheError when a shard is missing or damaged.
        """
        if view != self._view:
            self._shards, self._open, self._view = shards_of(self.plan, self.parts, view), {}, view
            self._starts = np.array([shard.start for shard in self._shards], np.int64)
            self._whole = self._joined() if self.plan.row_bytes * self.rows <= JOINED_BYTES else {}
        # numpy's take is several times as fast as torch's indexing of narrow rows
        if self._whole:
            return {name: torch.from_numpy(self._whole[name].numpy().take(index, axis=0)) for name in names}
        numbers = np.searchsorted(self._starts, index, side="right") - 1
        order = np.argsort(numbers, kind="stable")
        edges = np.flatnonzero(np.diff(numbers[order])) + 1
        found: dict[str, Tensor] = {}
        for places in np.split(order, edges):
            number = int(numbers[places[0]])
            columns = self._columns(number)
            rows = index[places] - self._starts[number]
            if len(places) == len(index):
                return {name: torch.from_numpy(columns[name].numpy().take(rows, axis=0)) for name in names}
            for name in names:
                if name not in found:
                    found[name] = torch.empty((len(index), *columns[name].shape[1:]), dtype=columns[name].dtype)
                found[name].numpy()[places] = columns[name].numpy().take(rows, axis=0)
        return found

    def _joined(self) -> dict[str, Tensor]:
        """The columns of the view in use, in one piece."""
        parts = [self._columns(number) for number in range(len(self._shards))]
        return {name: torch.cat([part[name] for part in parts]) for name in self.plan.columns}

    def check(self, views: int) -> Iterator[Shard]:
        """Read the shards of the first `views` views against their sums, yielding each; raises CacheError."""
        for view in range(views):
            for shard in shards_of(self.plan, self.parts, view):
                if (view, shard.number) not in self._checked:
                    read_shard(self.folder, shard, self.plan.columns, check=True)
                    self._checked.add((view, shard.number))
                yield shard

    def _columns(self, number: int) -> dict[str, Tensor]:
        if number not in self._open:
            shard = self._shards[number]
            is_new = (shard.view, number) not in self._checked
            self._open[number] = read_shard(self.folder, shard, self.plan.columns, check=is_new)
            self._checked.add((shard.view, number))
        return self._open[number]


def read_manifest(folder: Path, plan: Plan) -> tuple[int, int]:
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


def open_cache(folder: Path) -> LogitCache:
    """Open a finished cache; raises CacheError when it is not there, not finished or not consistent."""
    if not (folder / "plan.json").is_file():
        raise CacheError(f"{folder}: no logit cache there", "edgekd cache-logits makes one")
    plan = read_plan(folder)
    views, parts = read_manifest(folder, plan)
    return LogitCache(folder, plan, tuple(read_parts(folder)[:parts]), views)


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
