"""Shards on disk: written beside and renamed, checked against their checksums when first read."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from edgekd.cache.plan import FORMAT, Plan, read_plan
from edgekd.errors import CacheError
from edgekd.runs import atomic, read_json, write_json

DTYPES = {"fp16": torch.float16, "fp32": torch.float32}


def shard_path(folder: Path, view: int, number: int) -> Path:
    """Where shard `number` of a view lies."""
    return folder / f"view-{view:04d}" / f"{number:05d}.safetensors"


def write_shard(folder: Path, plan: Plan, view: int, number: int, logits: Tensor) -> None:
    """Write one shard's rows, logits [rows, classes]; sorted JSON under one key keeps equal shards byte-equal."""
    span = plan.spans()[number]
    about = {"plan": plan.digest(), "view": view, "start": span.start, "stop": span.stop}
    columns = {"logits": logits.to(DTYPES[plan.store]).contiguous()}
    with atomic(shard_path(folder, view, number)) as beside:
        save_file(columns, beside, metadata={"edgekd": json.dumps(about, sort_keys=True)})


def missing_shards(folder: Path, plan: Plan, views: int) -> Iterator[tuple[int, int]]:
    """(view, number) of every shard that is not there yet, in writing order."""
    for view in range(views):
        for number in range(len(plan.spans())):
            if not shard_path(folder, view, number).is_file():
                yield view, number


def seal(folder: Path, plan: Plan, views: int) -> None:
    """Write manifest.json, last of all: from then on the cache counts as whole."""
    sums = {
        str(path.relative_to(folder)): checksum(path)
        for view in range(views)
        for number in range(len(plan.spans()))
        for path in [shard_path(folder, view, number)]
    }
    write_json(
        folder / "manifest.json",
        {"format": FORMAT, "plan": plan.digest(), "views": views, "shards": sums},
    )


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass
class LogitCache:
    """A whole cache, open for reading; rows of the view in use are mapped, not copied."""

    folder: Path
    plan: Plan
    views: int
    sums: dict[str, str]
    _view: int = -1
    _shards: list[Tensor] = field(default_factory=list)

    def logits(self, view: int, index: NDArray[np.int64]) -> Tensor:
        """The teacher's logits, float32 [len(index), classes], of these images in this view."""
        if view != self._view:
            self._shards = [self._open(view, number) for number in range(len(self.plan.spans()))]
            self._view = view
        number, row = np.divmod(index, self.plan.rows_per_shard)
        if len(self._shards) == 1:
            return self._shards[0][torch.from_numpy(row)].float()
        found = torch.empty(len(index), self.plan.classes)
        for each in np.unique(number):
            chosen = torch.from_numpy(np.flatnonzero(number == each))
            found[chosen] = self._shards[each][torch.from_numpy(row)[chosen]].float()
        return found

    def _open(self, view: int, number: int) -> Tensor:
        path = shard_path(self.folder, view, number)
        mend = f"remove the file and call edgekd cache-logits --name {self.folder.name} with the teacher again"
        name = str(path.relative_to(self.folder))
        if not path.is_file():
            raise CacheError(f"{path}: this shard is missing", mend)
        if checksum(path) != self.sums.get(name):
            raise CacheError(f"{path}: its bytes are not what was written (checksum)", mend)
        try:
            with safe_open(path, framework="pt") as shard:
                about = json.loads(shard.metadata()["edgekd"])
                rows: Tensor = shard.get_tensor("logits")
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise CacheError(f"{path}: cannot be read ({error})", mend) from error
        span = self.plan.spans()[number]
        wanted = {"plan": self.plan.digest(), "view": view, "start": span.start, "stop": span.stop}
        if about != wanted or rows.shape != (len(span), self.plan.classes):
            raise CacheError(f"{path}: holds other rows than its name says", mend)
        return rows


def open_cache(folder: Path) -> LogitCache:
    """Open a finished cache; raises CacheError when it is not there, not finished or not consistent."""
    if not (folder / "plan.json").is_file():
        raise CacheError(f"{folder}: no logit cache there", "edgekd cache-logits makes one")
    plan = read_plan(folder)
    if not (folder / "manifest.json").is_file():
        raise CacheError(f"{folder}: was never finished", "call edgekd cache-logits again, it goes on where it stopped")
    manifest = read_json(folder / "manifest.json", CacheError)
    if manifest.get("plan") != plan.digest():
        raise CacheError(f"{folder}: plan.json and manifest.json do not belong together", "make the cache again")
    return LogitCache(folder, plan, int(manifest["views"]), dict(manifest["shards"]))
