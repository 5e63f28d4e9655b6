from pathlib import Path

import pytest

from edgekd.cache.plan import FORMAT, Plan, check_fit, read_plan
from edgekd.errors import CacheError
from edgekd.runs import read_json, write_json


def test_a_plan_survives_the_disk(tmp_path: Path, plan: Plan) -> None:
    plan.save(tmp_path)
    assert read_plan(tmp_path) == plan and read_plan(tmp_path).digest() == plan.digest()


def test_shards_cover_every_row_once(plan: Plan) -> None:
    assert [row for span in plan.spans() for row in span] == list(range(70))


def test_a_newer_format_is_refused(tmp_path: Path, plan: Plan) -> None:
    plan.save(tmp_path)
    write_json(tmp_path / "plan.json", read_json(tmp_path / "plan.json", CacheError) | {"format": FORMAT + 1})
    with pytest.raises(CacheError, match="newer"):
        read_plan(tmp_path)


def test_what_fits_passes(plan: Plan, tmp_path: Path) -> None:
    check_fit(tmp_path, plan, plan.teacher, plan.data, plan.views)


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        ("teacher", {"sha256": "bb"}, "teacher weights"),
        ("data", {"fingerprint": "g"}, "other content"),
        ("data", {"canvas": 64}, r"canvas \(32 there, 64 here\)"),
        ("data", {"classes": ["a", "b", "d"]}, "classes"),
        ("data", {"images": 71}, r"images \(70 there, 71 here\)"),
        ("views", {"crop": 0.25}, r"crop \(0.125 there, 0.25 here\)"),
        ("views", {"version": 2}, "version"),
    ],
)
def test_each_difference_is_named(plan: Plan, tmp_path: Path, part: str, change: dict[str, object], words: str) -> None:
    parts = {"teacher": plan.teacher, "data": plan.data, "views": plan.views}
    parts[part] = parts[part] | change
    with pytest.raises(CacheError, match=words):
        check_fit(tmp_path, plan, **parts)


def test_a_cache_can_be_used_without_its_teacher(plan: Plan, tmp_path: Path) -> None:
    check_fit(tmp_path, plan, None, plan.data, plan.views)
