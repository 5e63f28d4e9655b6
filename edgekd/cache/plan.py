"""What a cache holds and what that depends on; fixed before the first shard is written."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgekd.errors import CacheError
from edgekd.runs import read_json, write_json

FORMAT = 1
"""Version of the cache format; a newer one is refused."""
BATCHES_PER_SHARD = 32


@dataclass(frozen=True)
class Plan:
    """Everything the stored logits depend on, to the last bit.

    `teacher` and `data` name the parents (with hashes), `views` is the view recipe, `store` the number format of
    the columns, the rest how the teacher computed.
    """

    teacher: dict[str, Any]
    data: dict[str, Any]
    views: dict[str, Any]
    store: str
    batch_size: int
    compute: dict[str, Any]

    @property
    def rows(self) -> int:
        """Images in the training listing."""
        return int(self.data["images"])

    @property
    def classes(self) -> int:
        """Width of a row of logits."""
        return len(self.data["classes"])

    @property
    def rows_per_shard(self) -> int:
        """Batches never cross shards."""
        return self.batch_size * BATCHES_PER_SHARD

    def spans(self) -> list[range]:
        """The rows of each shard of a view."""
        step = self.rows_per_shard
        return [range(start, min(start + step, self.rows)) for start in range(0, self.rows, step)]

    def digest(self) -> str:
        """SHA-256 of the plan; every shard carries it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write plan.json."""
        write_json(folder / "plan.json", {"format": FORMAT, **asdict(self)})


def read_plan(folder: Path) -> Plan:
    """The plan of a cache; raises CacheError when it is missing, torn or newer than this edgekd."""
    found = read_json(folder / "plan.json", CacheError)
    if found.pop("format", 0) > FORMAT:
        raise CacheError(f"{folder}: a newer cache format than this edgekd knows", "update edgekd")
    try:
        return Plan(**found)
    except TypeError as error:
        raise CacheError(f"{folder / 'plan.json'}: not a plan ({error})", "make the cache again") from error


def check_fit(
    folder: Path, plan: Plan, teacher: dict[str, Any] | None, data: dict[str, Any], views: dict[str, Any]
) -> None:
    """Raise CacheError when the cache was made from another teacher, other data or other views; says which part.

    A teacher of None is not compared (a cache can be used without its teacher).
    """
    differs = []
    if teacher is not None and teacher["sha256"] != plan.teacher["sha256"]:
        differs.append(f"teacher weights ({plan.teacher['name']} there, {teacher['name']} here)")
    for key, words in (("canvas", "canvas"), ("channels", "channels"), ("classes", "classes"), ("images", "images")):
        if data[key] != plan.data[key]:
            differs.append(words if key == "classes" else f"{words} ({plan.data[key]} there, {data[key]} here)")
    if not differs and data["fingerprint"] != plan.data["fingerprint"]:
        differs.append(f"images (same number, other content, of {plan.data['name']})")
    changed = [
        f"{key} ({plan.views.get(key)} there, {value} here)"
        for key, value in views.items()
        if plan.views.get(key) != value
    ]
    if changed:
        differs.append("views: " + ", ".join(changed))
    if differs:
        raise CacheError(
            f"{folder}: does not fit: " + "; ".join(differs),
            "edgekd cache-logits --overwrite makes it anew, --name NAME makes another beside it",
        )
