"""How far a cache is: finished, begun, or damaged; which shards are missing, and what they will take."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any, TypedDict

from edgekd.cache.folder import Shard, all_shards, missing_shards, read_manifest
from edgekd.cache.parts import ListingPart, read_parts
from edgekd.cache.plan import CachePlan, read_plan
from edgekd.config import MOST_VIEWS
from edgekd.errors import CacheError
from edgekd.reading import read_lines
from edgekd.values import Limits, Unfit, Whole, convert

RECENT = 20
"""So many of the last log lines say how fast it goes."""


_SHARE = re.compile(r"[1-9][0-9]{0,4}/[1-9][0-9]{0,4}")


class _ViewsLine(TypedDict):
    views: Annotated[int, Limits(1, MOST_VIEWS)]


class _ShareLine(TypedDict):
    share: str


class _ShardLine(TypedDict):
    view: Whole
    shard: Whole
    seconds: Annotated[float, Limits(0)]


@dataclass(frozen=True)
class State:
    """A cache as it lies there; `views` are those to be had, `sealed` is (views, parts) of its manifest or (0, 0)."""

    folder: Path
    plan: CachePlan
    parts: tuple[ListingPart, ...]
    views: int
    sealed: tuple[int, int]
    shards: tuple[Shard, ...]
    missing: tuple[Shard, ...]

    @property
    def rows(self) -> int:
        """Images it has or will have rows for."""
        return self.parts[-1].stop if self.parts else 0

    @property
    def written(self) -> list[Shard]:
        """The shards that are there."""
        absent = set(self.missing)
        return [shard for shard in self.shards if shard not in absent]

    @property
    def lost(self) -> list[Shard]:
        """Missing shards that a manifest says were there."""
        views, parts = self.sealed
        stop = self.parts[parts - 1].stop if parts else 0
        return [shard for shard in self.missing if shard.view < views and shard.stop <= stop]

    @property
    def is_finished(self) -> bool:
        """Whether every shard is there and the manifest says so."""
        return bool(self.parts) and not self.missing and self.sealed == (self.views, len(self.parts))

    @property
    def bytes_left(self) -> int:
        """What the missing shards will take."""
        return sum(map(len, self.missing)) * self.plan.row_bytes

    def __str__(self) -> str:
        if self.is_finished:
            return "finished"
        if self.lost:
            return f"damaged: {len(self.lost)} of {len(self.shards)} shards are missing"
        if not self.shards:
            return "planned, no shard yet"
        count = f"{len(self.shards) - len(self.missing)} of {len(self.shards)} shards"
        if not self.missing:
            return f"{count}, not closed yet"
        views, parts = self.sealed
        return f"{views} views of {self.parts[parts - 1].stop} images are whole; {count} with more" if views else count


def read_state(folder: Path) -> State:
    """How far the cache at `folder` is; raises CacheError when its plan, lists and manifest are damaged."""
    plan = read_plan(folder)
    parts = tuple(read_parts(folder))
    sealed = read_manifest(folder, plan) if (folder / "manifest.json").is_file() else (0, 0)
    views = max(sealed[0] or max(plan.first_views, views_asked(folder)), _views_begun(folder))
    shards = all_shards(plan, parts, views)
    return State(folder, plan, parts, views, sealed, tuple(shards), tuple(missing_shards(folder, shards)))


def views_to_have(folder: Path, plan: CachePlan, wanted: int | None) -> int:
    """Views of the cache once it is filled: those there, more when more are `wanted`, else those first requested."""
    there = read_manifest(folder, plan)[0] if (folder / "manifest.json").is_file() else 0
    return max(there, wanted or there or views_asked(folder) or plan.first_views or 1)


def views_asked(folder: Path) -> int:
    """The views that the log says are wanted, 0 where it does not."""
    return next((row["views"] for row in reversed(_log(folder, _ViewsLine))), 0)


def _views_begun(folder: Path) -> int:
    begun = [int(path.parent.name[5:]) for path in folder.glob("view-[0-9][0-9][0-9][0-9]/*.safetensors")]
    return max(begun, default=-1) + 1


def share_lines(folder: Path) -> list[str]:
    """The shares of the work, as `2/4`, that processes wrote by, oldest first."""
    return [row["share"] for row in _log(folder, _ShareLine) if _SHARE.fullmatch(row["share"])]


def shard_lines(folder: Path) -> list[dict[str, Any]]:
    """The log's lines about shards, oldest first."""
    return _log(folder, _ShardLine)


def _log(folder: Path, kind: Any) -> list[Any]:  # noqa: ANN401
    """The log's lines of this kind, oldest first; others, also damaged ones, are left out: the log decides nothing."""
    found = []
    for row in read_lines(folder / "log.jsonl", CacheError):
        with suppress(Unfit):
            found.append(convert(row, kind))
    return found


def seconds_left(state: State) -> float | None:
    """How long one process needs for what is missing, by the log; None when that has nothing to go by."""
    each = seconds_per_row(state)
    return None if each is None else each * sum(map(len, state.missing))


def seconds_per_row(state: State) -> float | None:
    """How long one process needed for a row, by the last lines of the log; None when that has nothing to go by."""
    sizes = {(shard.view, shard.number): len(shard) for shard in state.shards}
    known = [row for row in shard_lines(state.folder) if (row["view"], row["shard"]) in sizes][-RECENT:]
    return median(row["seconds"] / sizes[row["view"], row["shard"]] for row in known) if known else None


def last_written(state: State) -> float | None:
    """When the newest shard was written, seconds since 1970; None without shards."""
    return max((shard.path(state.folder).stat().st_mtime for shard in state.written), default=None)


def in_ranges(numbers: Sequence[int]) -> str:
    """`[0, 1, 2, 7]` as `0-2, 7`."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(f"{low}" if low == high else f"{low}-{high}" for low, high in found)
