import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgekd.cache.folder import all_shards, cache_names, find_cache, missing_shards, seal, shards_of
from edgekd.cache.listing import write_part
from edgekd.cache.parts import read_parts
from edgekd.cache.plan import CachePlan, read_plan
from edgekd.cache.store import open_cache
from edgekd.errors import CacheError
from edgekd.images.imageset import Listing
from edgekd.reading import read_json
from edgekd.runs import write_json

EVERY = np.arange(70, dtype=np.int64)
Planned = Callable[..., CachePlan]
Write = Callable[..., Path]


@pytest.mark.parametrize("view", [0, 1])
def test_rows_come_back_as_written(cache: Path, expected: list[torch.Tensor], view: int) -> None:
    index = np.array([69, 0, 33, 31, 32, 5, 5])
    assert torch.equal(open_cache(cache).logits(view, index), expected[view][torch.from_numpy(index)])


def test_views_can_be_read_in_any_order(cache: Path, expected: list[torch.Tensor]) -> None:
    opened = open_cache(cache)
    for view in (1, 0, 1):
        assert torch.equal(opened.logits(view, EVERY), expected[view])


@pytest.mark.parametrize(("store", "error"), [("fp16", 1e-2), ("u8", 5e-2), ("topk", 1e-2)])
def test_every_store_reads_as_float32(
    tmp_path: Path, planned: Planned, write: Write, expected: list[torch.Tensor], store: str, error: float
) -> None:
    folder = write(tmp_path / store, planned(store=store, topk=3 if store == "topk" else 0))
    found = open_cache(folder).logits(0, EVERY)
    assert found.dtype == torch.float32 and torch.allclose(found, expected[0], atol=error)


def test_further_columns_are_read_by_name(tmp_path: Path, planned: Planned, write: Write) -> None:
    opened = open_cache(write(tmp_path / "wide", planned(extras={"pooled": [4]})))
    found = opened.read(1, np.array([40, 2]), ("pooled",))
    assert found["pooled"].shape == (2, 4) and found["pooled"].dtype == torch.float16 and set(found) == {"pooled"}
    assert opened.logits(1, EVERY).shape == (70, 3)


def test_shards_cover_every_row_once_and_no_part_twice(cache: Path, plan: CachePlan) -> None:
    write_part(cache, 1, Listing(("x", "y"), ("1", "2")), range(2))
    shards = shards_of(plan, read_parts(cache), 0)
    assert [(shard.start, shard.stop) for shard in shards] == [(0, 32), (32, 64), (64, 70), (70, 72)]
    assert [shard.number for shard in shards] == [0, 1, 2, 3] and shards[2].part != shards[3].part


def test_added_images_leave_the_old_shards_alone(cache: Path, plan: CachePlan, write: Write) -> None:
    before = {path: path.read_bytes() for path in cache.rglob("*.safetensors")}
    write_part(cache, 1, Listing(("x", "y"), ("1", "2")), range(2))
    assert [shard.number for shard in missing_shards(cache, all_shards(plan, read_parts(cache), 2))] == [3, 3]
    assert open_cache(cache).rows == 70
    write(cache, plan)
    assert open_cache(cache).rows == 72 and all(path.read_bytes() == before[path] for path in before)


def test_missing_shards_are_listed_in_writing_order(cache: Path, plan: CachePlan) -> None:
    shards = all_shards(plan, read_parts(cache), 3)
    shards[2].path(cache).unlink()
    found = missing_shards(cache, shards)
    assert [(shard.view, shard.number) for shard in found] == [(0, 2), (2, 0), (2, 1), (2, 2)]


def test_one_flipped_byte_is_caught(cache: Path, plan: CachePlan) -> None:
    path = shards_of(plan, read_parts(cache), 1)[0].path(cache)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    opened = open_cache(cache)
    assert opened.logits(0, EVERY).shape == (70, 3)
    with pytest.raises(CacheError, match="checksum"):
        opened.logits(1, EVERY)


def test_swapped_shards_are_caught(cache: Path, plan: CachePlan, tmp_path: Path) -> None:
    one, other = (shard.path(cache) for shard in shards_of(plan, read_parts(cache), 0)[:2])
    shutil.move(one, tmp_path / "kept")
    shutil.move(other, one)
    shutil.move(tmp_path / "kept", other)
    with pytest.raises(CacheError, match="00000.safetensors: holds other rows than its place says"):
        open_cache(cache).logits(0, EVERY)


def test_swapped_views_are_caught(cache: Path, tmp_path: Path) -> None:
    (cache / "view-0000").rename(tmp_path / "kept")
    (cache / "view-0001").rename(cache / "view-0000")
    (tmp_path / "kept").rename(cache / "view-0001")
    with pytest.raises(CacheError, match="other rows"):
        open_cache(cache).logits(0, EVERY)


def test_a_missing_shard_is_named(cache: Path, plan: CachePlan) -> None:
    shards_of(plan, read_parts(cache), 0)[1].path(cache).unlink()
    with pytest.raises(CacheError, match=r"00001.safetensors: this shard is missing"):
        open_cache(cache).logits(0, EVERY)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"plan": "other"}, "do not belong together"),
        ({"parts": ["x"]}, "do not belong together"),
        ({"parts": []}, "parts is .., not a list of at least 1"),
        ({"views": None}, "views is null, not a whole number"),
        ({"views": 0}, "views is 0, not a number from 1 to 10,000"),
        ({"views": 4 * 10**18}, "views is 4000000000000000000, not a number from 1 to 10,000"),
    ],
)
def test_a_manifest_of_something_else_is_caught(cache: Path, change: dict[str, object], words: str) -> None:
    write_json(cache / "manifest.json", read_json(cache / "manifest.json", CacheError) | change)
    with pytest.raises(CacheError, match=words):
        open_cache(cache)


def test_a_changed_list_of_images_is_caught(cache: Path) -> None:
    path = cache / "parts" / "00000.jsonl"
    path.write_text(path.read_text().replace("a/007", "a/700"))
    with pytest.raises(CacheError, match="do not belong together"):
        open_cache(cache)


def test_an_unfinished_cache_is_not_read(cache: Path) -> None:
    (cache / "manifest.json").unlink()
    with pytest.raises(CacheError, match="never finished"):
        open_cache(cache)


def test_a_folder_without_a_plan_is_no_cache(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="no logit cache"):
        open_cache(tmp_path)


def test_sealing_twice_writes_the_same_manifest(cache: Path) -> None:
    before = (cache / "manifest.json").read_bytes()
    seal(cache, read_plan(cache), read_parts(cache), 2)
    assert (cache / "manifest.json").read_bytes() == before


def test_a_cache_is_found_by_name_and_by_path(cache: Path, tmp_path: Path) -> None:
    assert find_cache(tmp_path, "toys") == find_cache(Path("elsewhere"), str(cache)) == cache
    assert list(cache_names(tmp_path)) == [cache]
    with pytest.raises(CacheError, match="no such cache") as caught:
        find_cache(tmp_path, "tosy")
    assert caught.value.hint == "nearest: toys"
