"""`edgekd cache merge`."""

import shutil
from pathlib import Path
from typing import Any

import pytest


def scatter(four: Path, place: Path) -> list[Path]:
    """Two copies of a cache, with one view each, unsealed."""
    found = []
    for view in (0, 1):
        folder = shutil.copytree(four, place / f"machine-{view}")
        shutil.rmtree(folder / f"view-000{1 - view}")
        (folder / "manifest.json").unlink()
        found.append(folder)
    return found


def test_what_two_machines_wrote_becomes_one_cache(cli: Any, four: Path, tmp_path: Path, files: Any) -> None:
    one, two = scatter(four, tmp_path)
    called = cli("cache", "merge", "whole", one, "--json")
    assert called.code == 0 and not called.json["finished"] and len(called.json["missing"]) == 2
    called = cli("cache", "merge", "whole", two, "--json")
    assert called.json["finished"] and called.json["shards_taken"] == 2
    assert files(four.parent / "whole") == files(four)


def test_merging_into_a_part_of_it_takes_the_rest(cli: Any, four: Path, tmp_path: Path, files: Any) -> None:
    whole, (one, two) = files(four), scatter(four, tmp_path)
    shutil.rmtree(four / "view-0001")
    assert cli("cache", "merge", "four", one, two).code == 0 and files(four) == whole


def test_damaged_shards_are_left_out_and_named(cli: Any, four: Path, tmp_path: Path, flip: Any) -> None:
    one, two = scatter(four, tmp_path)
    flip(two / "view-0001" / "00001.safetensors")
    called = cli("cache", "merge", "whole", one, two, "--json")
    assert called.code == 3 and called.json["missing"] == [{"view": 1, "shard": 1}]
    assert "machine-1/view-0001/00001.safetensors: damaged" in called.json["damaged"][0]


def test_caches_of_other_plans_are_not_joined(cli: Any, four: Path, tmp_path: Path, change_plan: Any) -> None:
    one, two = scatter(four, tmp_path)
    change_plan(two, "views", seed=7)
    called = cli("cache", "merge", "whole", one, two)
    assert called.code == 3 and "differ in views: seed (0 and 7)" in called.err
    assert not (four.parent / "whole").exists()


def test_caches_of_other_images_are_not_joined(cli: Any, four: Path, tmp_path: Path) -> None:
    one, two = scatter(four, tmp_path)
    path = two / "parts" / "00000.jsonl"
    path.write_text(path.read_text().replace("disc/007.png", "disc/0070.png"))
    called = cli("cache", "merge", "whole", one, two)
    assert called.code == 3 and "disc/007.png and disc/0070.png" in called.err


def test_other_threads_are_joined_with_a_warning(cli: Any, four: Path, tmp_path: Path, change_plan: Any) -> None:
    one, two = scatter(four, tmp_path)
    change_plan(two, "compute", threads=9, versions={"torch": "1.0"})
    called = cli("cache", "merge", "whole", one, two)
    assert called.code == 0 and "threads 1 and 9" in called.err and "and 1.0" in called.err


@pytest.mark.parametrize("names", [["whole"], ["four", "four"], ["../elsewhere", "four"]])
def test_merging_needs_a_place_and_others(cli: Any, four: Path, names: list[str]) -> None:
    assert cli("cache", "merge", *names).code == 2
