import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from edgekd.cache.columns import encode
from edgekd.cache.folder import Shard
from edgekd.cache.plan import CachePlan
from edgekd.cache.rows import STORES
from edgekd.cache.shards import read_shard, write_shard
from edgekd.errors import CacheError

SHARD = Shard("plan", "part", 1, 2, 64, 70)
SHAPES = {"logits": (3,), "low": (), "scale": ()}


def some_columns() -> dict[str, Tensor]:
    return encode(torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(6).long(), "u8", 0)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder with one shard."""
    write_shard(tmp_path, SHARD, some_columns())
    return tmp_path


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("store", STORES)
def test_columns_come_back_as_written(tmp_path: Path, planned: Callable[..., CachePlan], store: str) -> None:
    plan = planned(store=store, topk=2 if store == "topk" else 0, extras={"pooled": [4, 2]})
    columns = encode(torch.randn(6, 3), torch.tensor([-1, 0, 1, 2, 0, 1]), store, plan.topk)
    columns["pooled"] = torch.randn(6, 4, 2).half()
    write_shard(tmp_path, SHARD, columns)
    assert same(read_shard(tmp_path, SHARD, plan.columns, check=True), columns)


def test_a_shard_lies_where_its_view_and_number_say(written: Path) -> None:
    assert [str(path.relative_to(written)) for path in written.rglob("*.*")] == ["view-0001/00002.safetensors"]


def test_equal_columns_make_equal_bytes(written: Path) -> None:
    before = SHARD.path(written).read_bytes()
    for _ in range(5):
        write_shard(written, SHARD, dict(reversed(some_columns().items())))
        assert SHARD.path(written).read_bytes() == before


def test_no_changed_byte_goes_unnoticed(written: Path) -> None:
    path = SHARD.path(written)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    caught = 0
    for position in [*range(16), *rng.integers(0, len(whole), 200).tolist(), len(whole) - 1]:
        damaged = bytearray(whole)
        damaged[position] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            # what is not caught (a blank of the header's padding) must not change a value
            assert same(read_shard(written, SHARD, SHAPES, check=True), some_columns()), position
        except CacheError as error:
            assert str(path) in error.problem and "cache-logits" in error.hint
            caught += 1
    assert caught >= 200


@pytest.mark.parametrize("length", [0, 7, 8, 100, -1])
def test_a_torn_file_is_caught(written: Path, length: int) -> None:
    path = SHARD.path(written)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CacheError, match="damaged"):
        read_shard(written, SHARD, SHAPES, check=False)


@pytest.mark.parametrize(
    "other", [{"number": 1}, {"view": 0}, {"plan": "other"}, {"part": "other"}, {"start": 58, "stop": 64}, {"stop": 69}]
)
def test_another_shard_in_its_place_is_caught(written: Path, other: dict[str, int]) -> None:
    wanted = replace(SHARD, **other)
    wanted.path(written).parent.mkdir(exist_ok=True)
    if wanted.path(written) != SHARD.path(written):
        shutil.copy(SHARD.path(written), wanted.path(written))
    with pytest.raises(CacheError, match="other rows than its place says"):
        read_shard(written, wanted, SHAPES, check=False)


def test_other_columns_are_caught(written: Path) -> None:
    with pytest.raises(CacheError, match="other columns"):
        read_shard(written, SHARD, {"logits": (3,), "low": ()}, check=False)
    with pytest.raises(CacheError, match="other columns"):
        read_shard(written, SHARD, SHAPES | {"logits": (4,)}, check=False)
    with pytest.raises(CacheError, match="cannot be read"):
        read_shard(written, SHARD, SHAPES | {"pooled": (4,)}, check=False)


def test_a_missing_one_is_named_with_the_way_back(written: Path) -> None:
    SHARD.path(written).unlink()
    with pytest.raises(CacheError, match=r"00002.safetensors: this shard is missing") as caught:
        read_shard(written, SHARD, SHAPES, check=True)
    assert f"edgekd cache-logits --name {written.name}" in caught.value.hint
