"""Logit caches for benchmarks: generated logits through edgekd's own store, and what a folder weighs."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from edgekd.cache.columns import encode
from edgekd.cache.folder import all_shards, seal
from edgekd.cache.listing import write_part
from edgekd.cache.parts import read_parts
from edgekd.cache.plan import CachePlan
from edgekd.cache.shards import write_shard
from edgekd.cache.store import LogitCache, open_cache
from edgekd.images.imageset import Listing


def new_plan(classes: int, store: str, topk: int = 0) -> CachePlan:
    """The plan of a cache whose logits no teacher gave."""
    names = [str(each) for each in range(classes)]
    return CachePlan(
        teacher={"name": "generated", "model": "none", "sha256": "none"},
        data={"name": "generated", "options": {}, "classes": names, "canvas": 32, "channels": 3},
        views={},
        store=store,
        batch_size=256,
        compute={"precision": "fp32", "memory_format": "channels-last", "threads": 1},
        topk=topk,
    )


def write_cache(folder: Path, plan: CachePlan, images: int, views: int, rows: Callable[[int, int], Tensor]) -> float:
    """Write a cache of `rows(start, stop)`, float32 [stop - start, classes]; the seconds, without those of `rows`."""
    listing = Listing(tuple(f"train/{row:07d}" for row in range(images)), tuple(f"{row:032x}" for row in range(images)))
    started = time.perf_counter()
    plan.save(folder)
    write_part(folder, 0, listing, range(images))
    parts = read_parts(folder)
    generating = 0.0
    for shard in all_shards(plan, parts, views):
        before = time.perf_counter()
        logits = rows(shard.start, shard.stop)
        generating += time.perf_counter() - before
        write_shard(folder, shard, _encoded(logits, plan))
    seal(folder, plan, parts, views)
    return time.perf_counter() - started - generating


def _encoded(logits: Tensor, plan: CachePlan) -> dict[str, Tensor]:
    """Columns of a shard, made batch by batch as they come from a teacher."""
    labels = torch.zeros(plan.batch_size, dtype=torch.int64)
    parts = [encode(part, labels[: len(part)], plan.store, plan.topk) for part in logits.split(plan.batch_size)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def generated(folder: Path, logits: Tensor, store: str, topk: int = 0) -> LogitCache:
    """A cache of one view of `logits` [images, classes], open for reading."""
    plan = new_plan(logits.shape[1], store, topk)
    write_cache(folder, plan, len(logits), 1, lambda start, stop: logits[start:stop])
    return open_cache(folder)


def weigh(folder: Path, pattern: str = "**/*") -> tuple[int, int, int]:
    """Bytes of the files in a folder that fit the pattern, bytes of their disk blocks, and how many they are."""
    found = [path.stat() for path in folder.glob(pattern) if path.is_file()]
    blocks = sum(getattr(each, "st_blocks", -(-each.st_size // 512)) * 512 for each in found)
    return sum(each.st_size for each in found), blocks, len(found)
