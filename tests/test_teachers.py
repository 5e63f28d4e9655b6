from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.cache.plan import Plan
from edgekd.cache.store import open_cache, seal, write_shard
from edgekd.data.batch import Batch
from edgekd.models.network import Network, Spec
from edgekd.teachers import Cached, Live
from edgekd.training.formats import Format


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 2))
    return Network(backbone, Spec("toy", ("a", "b"), 3, 8, (0.5,) * 3, (0.25,) * 3))


@pytest.fixture
def batch() -> Batch:
    canvas = torch.randint(0, 255, (5, 8, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return Batch(canvas, torch.zeros(5, dtype=torch.int64), np.array([3, 0, 4, 1, 2]), 0)


def test_a_live_teacher_is_frozen_and_repeats_itself(network: Network, batch: Batch) -> None:
    network.train()
    teacher = Live(network, Format())
    first, second = teacher(batch).logits, teacher(batch).logits
    assert torch.equal(first, second) and not first.requires_grad
    assert not any(each.requires_grad for each in network.parameters())


def test_a_cached_teacher_says_what_the_live_one_said(network: Network, batch: Batch, tmp_path: Path) -> None:
    live = Live(network, Format())
    said = live(batch).logits
    data = {"name": "toys", "images": 5, "classes": ["a", "b"], "canvas": 8, "channels": 3, "fingerprint": "f"}
    plan = Plan({"name": "n", "model": "m", "sha256": "s"}, data, {}, "fp32", 5, {})
    plan.save(tmp_path)
    rows = torch.empty(5, 2)
    rows[torch.from_numpy(batch.index)] = said
    write_shard(tmp_path, plan, 0, 0, rows)
    seal(tmp_path, plan, 1)
    assert torch.equal(Cached(open_cache(tmp_path))(batch).logits, said)
