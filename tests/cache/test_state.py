from pathlib import Path

import pytest

from edgekd.cache.listing import write_part
from edgekd.cache.plan import CachePlan
from edgekd.cache.state import in_ranges, last_written, read_state, seconds_left, share_lines
from edgekd.errors import CacheError
from edgekd.images.imageset import Listing
from edgekd.runs import append_line


def test_a_whole_cache_is_finished(cache: Path) -> None:
    state = read_state(cache)
    assert str(state) == "finished" and state.is_finished
    assert (state.rows, state.views, len(state.shards), state.bytes_left) == (70, 2, 6, 0)
    assert last_written(state) == max(path.stat().st_mtime for path in cache.rglob("*.safetensors"))


def test_a_begun_cache_knows_what_is_missing(cache: Path) -> None:
    (cache / "manifest.json").unlink()
    (cache / "view-0001" / "00002.safetensors").unlink()
    (cache / "view-0000" / "00001.safetensors").unlink()
    state = read_state(cache)
    assert str(state) == "4 of 6 shards" and not state.lost and len(state.written) == 4
    assert [(shard.view, shard.number) for shard in state.missing] == [(0, 1), (1, 2)]
    assert state.bytes_left == (32 + 6) * 3 * 4


def test_a_shard_lost_from_a_finished_cache_is_damage(cache: Path) -> None:
    (cache / "view-0000" / "00001.safetensors").unlink()
    assert str(read_state(cache)) == "damaged: 1 of 6 shards are missing"


def test_images_that_joined_are_missing_but_not_lost(cache: Path) -> None:
    write_part(cache, 1, Listing(("x",), ("1",)), [0])
    state = read_state(cache)
    assert str(state) == "2 views of 70 images are whole; 6 of 8 shards with more"
    assert not state.lost and not state.is_finished and state.rows == 71


def test_the_log_says_how_many_views_are_wanted_until_it_is_sealed(cache: Path) -> None:
    append_line(cache / "log.jsonl", {"views": 3})
    assert read_state(cache).is_finished
    (cache / "manifest.json").unlink()
    assert str(read_state(cache)) == "6 of 9 shards"


def test_a_view_begun_later_leaves_the_others_whole(cache: Path) -> None:
    (cache / "view-0002").mkdir()
    (cache / "view-0002" / "00000.safetensors").hardlink_to(cache / "view-0000" / "00000.safetensors")
    assert str(read_state(cache)) == "2 views of 70 images are whole; 7 of 9 shards with more"


def test_views_that_were_begun_count_without_a_log(cache: Path) -> None:
    (cache / "manifest.json").unlink()
    assert read_state(cache).views == 2


def test_a_plan_alone_is_no_shard_yet(tmp_path: Path, plan: CachePlan) -> None:
    plan.save(tmp_path)
    state = read_state(tmp_path)
    assert str(state) == "planned, no shard yet" and not state.is_finished and last_written(state) is None


def test_time_left_is_that_of_a_row_times_the_rows(cache: Path) -> None:
    (cache / "manifest.json").unlink()
    assert seconds_left(read_state(cache)) is None
    for number, seconds in ((0, 3.2), (1, 6.4), (2, 0.6)):  # 0.1, 0.2 and 0.1 s a row
        append_line(cache / "log.jsonl", {"view": 0, "shard": number, "seconds": seconds})
    (cache / "view-0001" / "00000.safetensors").unlink()
    assert seconds_left(read_state(cache)) == pytest.approx(0.1 * 32)


def test_shares_are_read_from_the_log(cache: Path) -> None:
    append_line(cache / "log.jsonl", {"view": 0, "shard": 0, "seconds": 1, "share": "2/3"})
    append_line(cache / "log.jsonl", {"view": 0, "shard": 1, "seconds": 1, "share": None})
    assert share_lines(cache) == ["2/3"]


def test_a_manifest_that_does_not_fit_is_no_state(cache: Path) -> None:
    (cache / "manifest.json").write_text("{}")
    with pytest.raises(CacheError, match="plan is missing"):
        read_state(cache)


@pytest.mark.parametrize(
    ("numbers", "words"), [([], ""), ([3], "3"), ([0, 1, 2, 7], "0-2, 7"), ([5, 4], "4-5"), ([1, 3, 5], "1, 3, 5")]
)
def test_numbers_in_ranges(numbers: list[int], words: str) -> None:
    assert in_ranges(numbers) == words
