from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekd.cache.columns import encode
from edgekd.cache.folder import seal, shards_of
from edgekd.cache.listing import write_part
from edgekd.cache.parts import read_parts
from edgekd.cache.plan import CachePlan
from edgekd.cache.shards import write_shard
from edgekd.cache.store import LogitCache, open_cache
from edgekd.data.batch import Batch
from edgekd.images.imageset import Listing
from edgekd.methods.contract import Side
from edgekd.models.network import Network
from edgekd.models.network import Spec as NetworkSpec
from edgekd.models.outputs import Output
from edgekd.teachers.teacher import Cached, Ensemble, Live

ROWS = 5


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 2))
    return Network(backbone, NetworkSpec("toy", ("a", "b"), 3, 8, (0.5,) * 3, (0.25,) * 3))


@pytest.fixture
def batch() -> Batch:
    canvas = torch.randint(0, 255, (ROWS, 8, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return Batch(canvas, torch.zeros(ROWS, dtype=torch.int64), np.array([3, 0, 4, 1, 2]), 0)


def make_cache(folder: Path, logits: Tensor, extras: dict[str, Tensor] | None = None, topk: int = 0) -> LogitCache:
    """A cache of one view whose rows are these."""
    extras = extras or {}
    plan = CachePlan(
        teacher={"name": "n", "model": "m", "sha256": "s", "place": "gone"},
        data={"name": "toys", "options": {}, "classes": ["a", "b"], "canvas": 8, "channels": 3},
        views={},
        store="topk" if topk else "fp32",
        batch_size=ROWS,
        compute={"precision": "fp32", "memory_format": "channels-last"},
        topk=topk,
        extras={name: list(value.shape[1:]) for name, value in extras.items()},
    )
    plan.save(folder)
    write_part(folder, 0, Listing(tuple("abcde"), tuple("01234")), range(ROWS))
    parts = read_parts(folder)
    columns = encode(logits, torch.zeros(ROWS, dtype=torch.int64), plan.store, plan.topk)
    write_shard(folder, shards_of(plan, parts, 0)[0], columns | {name: each.half() for name, each in extras.items()})
    seal(folder, plan, parts, 1)
    return open_cache(folder)


def test_a_live_teacher_is_frozen_and_repeats_itself(network: Network, batch: Batch) -> None:
    network.train()
    teacher = Live(network)
    first, second = teacher(batch).logits, teacher(batch).logits
    assert torch.equal(first, second) and not first.requires_grad
    assert not any(each.requires_grad for each in network.parameters())


def test_a_live_teacher_computes_in_the_format_around_it(network: Network, batch: Batch) -> None:
    exact = Live(network)(batch).logits
    with torch.autocast("cpu", torch.bfloat16):
        said, expected = Live(network)(batch).logits, network(batch.canvas)
    assert said.dtype == torch.float32 and torch.equal(said, expected.float())
    assert 0 < (said - exact).abs().max() < 0.05 * exact.abs().max()


def test_a_cached_teacher_says_what_the_live_one_said(network: Network, batch: Batch, tmp_path: Path) -> None:
    said = Live(network)(batch).logits
    rows = torch.empty(ROWS, 2)
    rows[torch.from_numpy(batch.index)] = said
    assert torch.equal(Cached(make_cache(tmp_path, rows))(batch).logits, said)


def test_stored_halves_are_read_beside_a_training_in_bf16(batch: Batch, tmp_path: Path) -> None:
    pooled = torch.arange(10.0).view(ROWS, 2)
    teacher = Cached(make_cache(tmp_path, torch.ones(ROWS, 2), {"pooled": pooled}), {"pooled"})
    with torch.autocast("cpu", torch.bfloat16):
        said = teacher(batch)
    assert said.logits.dtype == said.pooled.dtype == torch.float32
    assert torch.equal(said.pooled, pooled[torch.from_numpy(batch.index)])


def test_further_columns_become_features(batch: Batch, tmp_path: Path) -> None:
    pooled, maps = torch.arange(10.0).view(ROWS, 2), torch.arange(20.0).view(ROWS, 1, 2, 2)
    cache = make_cache(tmp_path, torch.zeros(ROWS, 2), {"pooled": pooled, "map:layer": maps})
    teacher = Cached(cache, {"logits", "pooled", "features:layer|tail"})
    said, order = teacher(batch), torch.from_numpy(batch.index)
    assert teacher.side.gives == {"logits", "pooled", "features:layer"}
    assert torch.equal(said.pooled, pooled[order]) and torch.equal(said.features["layer"], maps[order])


def test_columns_that_nobody_needs_are_not_read(batch: Batch, tmp_path: Path) -> None:
    said = Cached(make_cache(tmp_path, torch.zeros(ROWS, 2), {"pooled": torch.ones(ROWS, 2)}), {"logits"})(batch)
    assert said.pooled is None and not said.features


def test_a_topk_cache_says_that_it_is_one(tmp_path: Path) -> None:
    cache = make_cache(tmp_path, torch.randn(ROWS, 2), topk=1)
    assert Cached(cache).side.gives == {"logits:topk"}


class Says:
    """A teacher that always says the same."""

    def __init__(self, logits: Tensor, gives: str = "logits") -> None:
        self.logits, self.side = logits, Side(2, frozenset({gives}))

    def giving(self, needs: Collection[str]) -> "Says":
        return self

    def __call__(self, batch: Batch) -> Output:
        return Output(logits=self.logits)


def test_an_ensemble_is_the_weighted_mean_of_logits(batch: Batch) -> None:
    members = [Says(torch.tensor([[1.0, 5.0]])), Says(torch.tensor([[4.0, 2.0]]))]
    assert torch.equal(Ensemble(members, [2.0, 1.0])(batch).logits, torch.tensor([[2.0, 4.0]]))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_an_ensemble_softens_to_the_geometric_mean(batch: Batch, temperature: float) -> None:
    one, other = torch.randn(3, 2), torch.randn(3, 2)
    found = (Ensemble([Says(one), Says(other)], [1, 1])(batch).logits / temperature).softmax(1)
    product = ((one / temperature).softmax(1) * (other / temperature).softmax(1)).sqrt()
    assert torch.allclose(found, product / product.sum(1, keepdim=True), atol=1e-6)


def test_an_ensemble_gives_no_more_than_its_members() -> None:
    rows = torch.zeros(1, 2)
    assert Ensemble([Says(rows), Says(rows, "logits:topk")], [1, 1]).side.gives == {"logits:topk"}
