"""A small plan, its images, and caches written by hand from known logits."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from edgekd.cache.columns import encode
from edgekd.cache.folder import all_shards, seal
from edgekd.cache.listing import write_part
from edgekd.cache.parts import read_parts
from edgekd.cache.plan import CachePlan
from edgekd.cache.shards import write_shard
from edgekd.images.imageset import Listing

ROWS, CLASSES, VIEWS = 70, 3, 2


def make_plan(**changes: object) -> CachePlan:
    values: dict[str, object] = {
        "teacher": {
            "name": "big-toys", "place": "runs/big-toys", "model": "big", "sha256": "aa", "code": None, "spec": None,
            "feeding": {"input_size": 32, "mean": [0.5], "std": [0.5]},
        },
        "data": {"name": "toys", "options": {"data": "toys"}, "classes": ["a", "b", "c"], "canvas": 32, "channels": 3},
        "views": {"version": 1, "crop": 0.125, "flip": True, "seed": 0},
        "store": "fp32",
        "batch_size": 1,
        "compute": {"precision": "fp32", "memory_format": "channels-last", "threads": 1, "device": "cpu"},
    }  # fmt: skip
    return CachePlan(**(values | changes))  # type: ignore[arg-type]


def make_listing(rows: int = ROWS) -> Listing:
    return Listing(tuple(f"a/{row:03d}.png" for row in range(rows)), tuple(f"{row:064x}" for row in range(rows)))


def logits_of(view: int, rows: int = ROWS) -> Tensor:
    return torch.randn(100, CLASSES, generator=torch.Generator().manual_seed(view))[:rows] * 5


def pooled_of(view: int, rows: int = ROWS) -> Tensor:
    return torch.randn(100, 4, generator=torch.Generator().manual_seed(100 + view))[:rows]


def write_cache(folder: Path, plan: CachePlan, views: int = VIEWS) -> Path:
    """A finished cache of 70 images and of what further parts the folder lists."""
    plan.save(folder)
    write_part(folder, 0, make_listing(), range(ROWS))
    parts = read_parts(folder)
    rows = parts[-1].stop
    for shard in all_shards(plan, parts, views):
        span = slice(shard.start, shard.stop)
        logits = logits_of(shard.view, rows)[span]
        columns = encode(logits, torch.zeros(len(logits), dtype=torch.int64), plan.store, plan.topk)
        extras = {name: pooled_of(shard.view, rows)[span].half() for name in plan.extras}
        write_shard(folder, shard, columns | extras)
    seal(folder, plan, parts, views)
    return folder


@pytest.fixture
def plan() -> CachePlan:
    return make_plan()


@pytest.fixture
def listing() -> Listing:
    return make_listing()


@pytest.fixture
def expected() -> list[Tensor]:
    """The logits [rows, classes] of each view."""
    return [logits_of(view) for view in range(VIEWS)]


@pytest.fixture
def planned() -> Callable[..., CachePlan]:
    """Makes the same plan with some fields changed."""
    return make_plan


@pytest.fixture
def write() -> Callable[..., Path]:
    """Writes a finished cache of a plan to a folder, with the known logits."""
    return write_cache


@pytest.fixture
def cache(tmp_path: Path, plan: CachePlan) -> Path:
    """A finished cache of three shards a view."""
    return write_cache(tmp_path / "toys", plan)
