from collections.abc import Callable
from pathlib import Path

import pytest

from edgekd.cache.plan import BATCHES_PER_SHARD, FORMAT, SHARD_BYTES, CachePlan, read_plan
from edgekd.errors import CacheError
from edgekd.reading import read_json
from edgekd.runs import write_json

Planned = Callable[..., CachePlan]


def rewrite(folder: Path, **changes: object) -> None:
    write_json(folder / "plan.json", read_json(folder / "plan.json", CacheError) | changes)


def test_a_plan_survives_the_disk(tmp_path: Path, plan: CachePlan) -> None:
    assert plan.save(tmp_path)
    assert read_plan(tmp_path) == plan and read_plan(tmp_path).digest() == plan.digest()


def test_the_first_plan_stays(tmp_path: Path, plan: CachePlan, planned: Planned) -> None:
    plan.save(tmp_path)
    assert not planned(store="u8").save(tmp_path) and read_plan(tmp_path) == plan
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"store": "u8"},
        {"store": "topk", "topk": 2},
        {"extras": {"pooled": [4]}},
        {"batch_size": 2},
        {"views": {"version": 1, "crop": 0.25, "flip": True, "seed": 0}},
        {"compute": {"precision": "bf16", "memory_format": "channels-last", "threads": 1}},
    ],
)
def test_what_decides_the_bytes_decides_the_digest(
    plan: CachePlan, planned: Planned, change: dict[str, object]
) -> None:
    assert planned(**change).digest() != plan.digest()


def test_names_places_and_threads_do_not(plan: CachePlan, planned: Planned) -> None:
    other = planned(
        teacher=plan.teacher | {"name": "other", "place": "elsewhere"},
        compute=plan.compute | {"threads": 8, "versions": {"torch": "9"}},
    )
    assert other.digest() == plan.digest()


def test_wide_rows_make_shards_of_fewer_batches(planned: Planned) -> None:
    assert planned(batch_size=250).rows_per_shard == 250 * BATCHES_PER_SHARD
    wide = planned(batch_size=250, extras={"map:x": [64, 8, 8]})
    assert wide.rows_per_shard % 250 == 0 and 250 <= wide.rows_per_shard <= SHARD_BYTES / wide.row_bytes
    assert planned(batch_size=250, extras={"map:x": [10**6]}).rows_per_shard == 250


@pytest.mark.parametrize(("known", "hint"), [(FORMAT + 1, "update edgekd"), (1, "make the cache again"), ("x", "make")])
def test_another_format_is_refused(tmp_path: Path, plan: CachePlan, known: object, hint: str) -> None:
    plan.save(tmp_path)
    rewrite(tmp_path, format=known)
    with pytest.raises(CacheError, match=f"cache format {known}, this edgekd knows {FORMAT}") as caught:
        read_plan(tmp_path)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "change", [{"surplus": 1}, {"data": {}}, {"data": None}, {"compute": {}}, {"batch_size": 0}, {"teacher": []}]
)
def test_what_is_no_plan_is_told(tmp_path: Path, plan: CachePlan, change: dict[str, object]) -> None:
    plan.save(tmp_path)
    rewrite(tmp_path, **change)
    with pytest.raises(CacheError, match="not a plan"):
        read_plan(tmp_path)


def test_a_torn_plan_is_told(tmp_path: Path, plan: CachePlan) -> None:
    plan.save(tmp_path)
    (tmp_path / "plan.json").write_text((tmp_path / "plan.json").read_text()[:100])
    with pytest.raises(CacheError, match="cannot be read as JSON"):
        read_plan(tmp_path)
