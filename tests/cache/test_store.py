import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from edgekd.cache.plan import Plan
from edgekd.cache.store import missing_shards, open_cache, shard_path, write_shard
from edgekd.errors import CacheError

EVERY = np.arange(70, dtype=np.int64)


@pytest.mark.parametrize("view", [0, 1])
def test_rows_come_back_as_written(cache: Path, expected: list[torch.Tensor], view: int) -> None:
    index = np.array([69, 0, 33, 31, 32, 5])
    assert torch.equal(open_cache(cache).logits(view, index), expected[view][torch.from_numpy(index)])


def test_views_can_be_read_in_any_order(cache: Path, expected: list[torch.Tensor]) -> None:
    opened = open_cache(cache)
    for view in (1, 0, 1):
        assert torch.equal(opened.logits(view, EVERY), expected[view])


def test_half_precision_keeps_three_digits(half: Path, expected: list[torch.Tensor]) -> None:
    found = open_cache(half).logits(0, EVERY)
    assert found.dtype == torch.float32 and torch.allclose(found, expected[0], rtol=1e-3, atol=1e-3)


def test_the_same_logits_make_the_same_bytes(cache: Path, plan: Plan, expected: list[torch.Tensor]) -> None:
    before = shard_path(cache, 0, 1).read_bytes()
    write_shard(cache, plan, 0, 1, expected[0][32:64])
    assert shard_path(cache, 0, 1).read_bytes() == before


def test_missing_shards_are_listed_in_writing_order(cache: Path, plan: Plan) -> None:
    shard_path(cache, 0, 2).unlink()
    assert list(missing_shards(cache, plan, 3)) == [(0, 2), (2, 0), (2, 1), (2, 2)]


def test_one_flipped_byte_is_caught(cache: Path) -> None:
    path = shard_path(cache, 1, 0)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CacheError, match="checksum"):
        open_cache(cache).logits(1, EVERY)


def test_swapped_shards_are_caught(cache: Path, tmp_path: Path) -> None:
    one, other = shard_path(cache, 0, 0), shard_path(cache, 0, 1)
    shutil.move(one, tmp_path / "kept")
    shutil.move(other, one)
    shutil.move(tmp_path / "kept", other)
    with pytest.raises(CacheError, match="checksum"):
        open_cache(cache).logits(0, EVERY)


def test_a_missing_shard_is_named(cache: Path) -> None:
    shard_path(cache, 0, 1).unlink()
    with pytest.raises(CacheError, match=r"00001.safetensors: this shard is missing"):
        open_cache(cache).logits(0, EVERY)


def test_an_unfinished_cache_is_not_read(cache: Path) -> None:
    (cache / "manifest.json").unlink()
    with pytest.raises(CacheError, match="never finished"):
        open_cache(cache)


def test_a_folder_without_a_plan_is_no_cache(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="no logit cache"):
        open_cache(tmp_path)
