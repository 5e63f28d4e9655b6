"""A finished cache: reading rows by (view, index)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekd.cache.columns import decode
from edgekd.cache.folder import Shard, read_manifest, shards_of
from edgekd.cache.parts import ListingPart, read_parts
from edgekd.cache.plan import CachePlan, read_plan
from edgekd.cache.shards import read_shard
from edgekd.errors import CacheError

JOINED_BYTES = 128_000_000
"""A view no larger than this is held in memory in one piece, so that a batch is one gather."""


@dataclass
class LogitCache:
    """A whole cache, open for reading; shards are mapped when first requested, and checked once."""

    folder: Path
    plan: CachePlan
    parts: tuple[ListingPart, ...]
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


def open_cache(folder: Path) -> LogitCache:
    """Open a finished cache; raises CacheError when it is not there, not finished or not consistent."""
    if not (folder / "plan.json").is_file():
        raise CacheError(f"{folder}: no logit cache there", "edgekd cache-logits makes one")
    plan = read_plan(folder)
    views, parts = read_manifest(folder, plan)
    return LogitCache(folder, plan, tuple(read_parts(folder)[:parts]), views)
