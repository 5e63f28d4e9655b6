from collections.abc import Callable
from pathlib import Path

import pytest

from edgekd.cache.fit import check_fit, other_versions, plan_differences, version_warning
from edgekd.cache.plan import CachePlan
from edgekd.errors import CacheError
from edgekd.runs import environment

Planned = Callable[..., CachePlan]


def test_what_fits_passes(plan: CachePlan, tmp_path: Path) -> None:
    check_fit(tmp_path, plan, plan.teacher, plan.data, plan.views)


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        ("teacher", {"sha256": "bb"}, r"teacher weights \(big-toys when it was made, big-toys now\)"),
        ("teacher", {"code": "bb"}, "teacher code"),
        ("teacher", {"feeding": {"input_size": 64}}, "teacher resize and normalisation"),
        ("data", {"canvas": 64}, r"canvas \(32 there, 64 here\)"),
        ("data", {"channels": 1}, r"channels \(3 there, 1 here\)"),
        ("data", {"classes": ["a", "b", "d"]}, "classes"),
        ("views", {"crop": 0.25}, r"crop \(0.125 there, 0.25 here\)"),
        ("views", {"mixup": 0.2}, r"mixup \(off there, 0.2 here\)"),
        ("views", {"version": 2}, "version"),
    ],
)
def test_each_difference_is_named(
    plan: CachePlan, tmp_path: Path, part: str, change: dict[str, object], words: str
) -> None:
    parts = {"teacher": plan.teacher, "data": plan.data, "views": plan.views}
    parts[part] = parts[part] | change
    with pytest.raises(CacheError, match=words) as caught:
        check_fit(tmp_path, plan, parts["teacher"], parts["data"], parts["views"])
    assert "--overwrite" in caught.value.hint


def test_all_differences_are_named_at_once(plan: CachePlan, tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=r"teacher weights .*; canvas .*; views: crop"):
        check_fit(tmp_path, plan, plan.teacher | {"sha256": "b"}, plan.data | {"canvas": 8}, plan.views | {"crop": 0})


def test_a_cache_can_be_used_without_its_teacher(plan: CachePlan, tmp_path: Path) -> None:
    check_fit(tmp_path, plan, None, plan.data, plan.views)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"store": "u8"}, "store (fp32 and u8)"),
        ({"batch_size": 2}, "batch size (1 and 2)"),
        ({"views": {"version": 1, "crop": 0.125, "flip": True, "seed": 1}}, "views: seed (0 and 1)"),
        ({"compute": {"precision": "bf16", "memory_format": "channels-last"}}, "format (fp32 channels-last and bf16"),
    ],
)
def test_plans_that_differ_say_in_what(
    plan: CachePlan, planned: Planned, change: dict[str, object], words: str
) -> None:
    (told,) = plan_differences(plan, planned(**change))
    assert told.startswith(words) and plan.digest() != planned(**change).digest()


def test_other_weights_and_classes_are_among_the_differences(plan: CachePlan, planned: Planned) -> None:
    other = planned(teacher=plan.teacher | {"sha256": "bb"}, data=plan.data | {"classes": ["a", "b", "c", "d"]})
    assert plan_differences(plan, other) == ["teacher weights", "classes (a b c and 4 of them)"]


def test_plans_of_equal_digest_do_not_differ(plan: CachePlan, planned: Planned) -> None:
    assert plan_differences(plan, planned(compute=plan.compute | {"threads": 9})) == []


def test_only_packages_that_compute_count() -> None:
    then = {"torch": "1", "onnx": "1", "timm": "1", "numpy": "1"}
    assert other_versions(then, {"torch": "2", "onnx": "2", "numpy": "1"}) == ["torch 1 then, 2 now"]


def test_other_versions_are_warned_of(plan: CachePlan, planned: Planned) -> None:
    now = environment()["packages"]
    assert version_warning(Path("cache/toys"), planned(compute=plan.compute | {"versions": now})) is None
    told = version_warning(Path("cache/toys"), planned(compute=plan.compute | {"versions": now | {"torch": "0.1"}}))
    assert told is not None and "torch 0.1 then" in told and "edgekd cache verify toys" in told
