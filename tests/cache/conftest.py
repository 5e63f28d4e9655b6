"""A small plan and its logits."""

from pathlib import Path

import pytest
import torch

from edgekd.cache.plan import Plan
from edgekd.cache.store import seal, write_shard

ROWS, CLASSES, VIEWS = 70, 3, 2


def make_plan(**changes: object) -> Plan:
    values: dict[str, object] = {
        "teacher": {"name": "big-toys", "model": "big", "sha256": "aa"},
        "data": {
            "name": "toys", "images": ROWS, "classes": ["a", "b", "c"], "canvas": 32, "channels": 3, "fingerprint": "f"
        },
        "views": {"version": 1, "crop": 0.125, "flip": True, "seed": 0},
        "store": "fp32",
        "batch_size": 1,
        "compute": {"precision": "fp32", "memory_format": "channels-last", "threads": 1},
    }  # fmt: skip
    return Plan(**(values | changes))  # type: ignore[arg-type]


def logits_of(view: int) -> torch.Tensor:
    return torch.randn(ROWS, CLASSES, generator=torch.Generator().manual_seed(view)) * 5


def write(folder: Path, plan: Plan, views: int = VIEWS) -> None:
    plan.save(folder)
    for view in range(views):
        for number, span in enumerate(plan.spans()):
            write_shard(folder, plan, view, number, logits_of(view)[span.start : span.stop])
    seal(folder, plan, views)


@pytest.fixture
def plan() -> Plan:
    return make_plan()


@pytest.fixture
def expected() -> list[torch.Tensor]:
    """The logits [rows, classes] of each view."""
    return [logits_of(view) for view in range(VIEWS)]


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """The same in half precision."""
    write(tmp_path / "half", make_plan(store="fp16"))
    return tmp_path / "half"


@pytest.fixture
def cache(tmp_path: Path, plan: Plan) -> Path:
    """A finished cache of three shards a view."""
    write(tmp_path / "toys", plan)
    return tmp_path / "toys"
