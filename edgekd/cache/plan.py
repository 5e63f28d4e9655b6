"""What a cache holds and what its bytes depend on; fixed before the first shard is written."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from edgekd.cache.rows import STORES, row_bytes, row_shapes
from edgekd.config import MOST_VIEWS
from edgekd.errors import CacheError
from edgekd.manifest import Channels, ClassNames, Side
from edgekd.reading import read_json
from edgekd.runs import write_once
from edgekd.values import Count, Limits, Whole, check

FORMAT = 2
"""Version of the cache format; a newer one is refused."""
MOST_ROWS = 2**31
"""Of a batch, and of a column's row."""
MEND = "restore it, or make the cache again: edgekd cache-logits --overwrite"
BATCHES_PER_SHARD = 32
SHARD_BYTES = 64_000_000
"""Wide columns make shards of fewer batches."""


class _Teacher(TypedDict):
    name: str
    place: str
    model: str
    sha256: str
    feeding: NotRequired[dict[str, Any] | None]
    spec: NotRequired[dict[str, Any] | None]


class _Float8(TypedDict):
    real: float
    simulated: float


class _Compute(TypedDict):
    precision: str
    memory_format: str
    threads: NotRequired[Count]
    device: NotRequired[str]
    versions: NotRequired[dict[str, str]]
    float8: NotRequired[_Float8]


class _Data(TypedDict):
    name: str
    options: dict[str, Any]
    classes: ClassNames
    canvas: Side
    channels: Channels


class _Plan(TypedDict):
    """What plan.json must hold; numbers are bounded by what a cache can be, before memory is taken by them."""

    teacher: _Teacher
    data: _Data
    views: dict[str, bool | int | float]
    store: Literal[STORES]  # type: ignore[valid-type]
    batch_size: Annotated[int, Limits(1, MOST_ROWS)]
    compute: _Compute
    topk: Whole
    extras: dict[str, list[Annotated[int, Limits(1, MOST_ROWS)]]]
    topk_error: dict[str, float]
    first_views: Annotated[int, Limits(0, MOST_VIEWS)]


@dataclass(frozen=True)
class CachePlan:
    """Everything the stored columns depend on, to the last bit.

    `teacher` and `data` name the parents (with hashes), `views` is the view recipe, `store` the number format of
    the logits (`topk` of them where it is topk), `extras` the further columns with the shape of a row; `first_views`
    is how many views were requested when it was made (more may be added); the rest is how the teacher computed.
    """

    teacher: dict[str, Any]
    data: dict[str, Any]
    views: dict[str, Any]
    store: str
    batch_size: int
    compute: dict[str, Any]
    topk: int = 0
    extras: dict[str, list[int]] = field(default_factory=dict)
    topk_error: dict[str, float] = field(default_factory=dict)
    first_views: int = 0

    @property
    def classes(self) -> int:
        """Width of a row of logits."""
        return len(self.data["classes"])

    @property
    def row_bytes(self) -> int:
        """Bytes of one image in one view."""
        return row_bytes(self.store, self.classes, self.topk, self.extras)

    @property
    def columns(self) -> dict[str, tuple[int, ...]]:
        """The columns of a shard and the shape of a row of each."""
        return row_shapes(self.store, self.classes, self.topk, self.extras)

    @property
    def rows_per_shard(self) -> int:
        """Batches never cross shards."""
        batches = max(1, min(BATCHES_PER_SHARD, SHARD_BYTES // (self.row_bytes * self.batch_size)))
        return self.batch_size * batches

    def digest(self) -> str:
        """SHA-256 of all that decides the bytes (names, places and the number of threads do not); shards carry it."""
        return hashlib.sha256(json.dumps(self.deciding(), sort_keys=True).encode()).hexdigest()

    def deciding(self) -> dict[str, Any]:
        """The part of the plan which the digest is of."""
        return {
            "teacher": {key: self.teacher.get(key) for key in ("sha256", "code", "feeding")},
            "data": {key: self.data[key] for key in ("classes", "canvas", "channels")},
            "views": self.views,
            "store": [self.store, self.topk, self.extras],
            "batch_size": self.batch_size,
            "compute": [self.compute["precision"], self.compute["memory_format"]],
        }

    def save(self, folder: Path) -> bool:
        """Write plan.json unless another process was first; whether this one was."""
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=2, sort_keys=True, ensure_ascii=False)
        return write_once(folder / "plan.json", text + "\n")


def read_plan(folder: Path) -> CachePlan:
    """The plan of a cache; raises CacheError when it is missing, torn, or of another format than this edgekd's."""
    found = dict(read_json(folder / "plan.json", CacheError))
    known = found.pop("format", 0)
    if known != FORMAT:
        raise CacheError(
            f"{folder}: cache format {known}, this edgekd knows {FORMAT}",
            "update edgekd"
            if isinstance(known, int) and known > FORMAT
            else "make the cache again: edgekd cache-logits --overwrite",
        )
    path = folder / "plan.json"
    check(found, _Plan, f"{path}: not a plan", CacheError, MEND)
    try:
        plan = CachePlan(**found)
    except TypeError as error:
        raise CacheError(f"{path}: not a plan ({error})", MEND) from error
    if plan.topk > plan.classes or (plan.store == "topk") != bool(plan.topk):
        raise CacheError(f"{path}: not a plan: it keeps the top {plan.topk} of {plan.classes} classes", MEND)
    return plan
