"""Views are the teacher's own from cache to finetuning; without a teacher a look at the images decides on flips."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekd.cache.plan import read_plan
from edgekd.runs import Run, write_json

TEACHER = "custom-student-pictures"


def pointer(is_left: bool, rng: np.random.Generator) -> Image.Image:
    """A bright half on noise: left or right."""
    pixels = rng.integers(0, 80, (16, 16, 3), dtype=np.uint8)
    pixels[4:12, slice(1, 6) if is_left else slice(10, 15)] += 150
    return Image.fromarray(pixels)


@pytest.fixture
def pointers(tmp_path: Path) -> Path:
    """Pictures of two classes that mirroring turns into each other."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 24), ("test", 4)):
        for kind in ("left", "right"):
            folder = tmp_path / "pointers" / split / kind
            folder.mkdir(parents=True)
            for number in range(count):
                pointer(kind == "left", rng).save(folder / f"{number:03d}.png")
    return tmp_path / "pointers"


def views(place: str) -> dict[str, Any]:
    found = json.loads(Path(place, "manifest.json").read_text())
    assert (found["config"]["flip"] == "on") == found["views"]["flip"]
    return found["views"]


def test_flips_are_off_along_the_chain_where_they_change_the_class(cli: Any, pointers: Path, quick: Any) -> None:
    called = cli("train-teacher", "--model", "custom-student", "--data", pointers, *quick, "--json")
    assert called.code == 0 and "flip: off" in called.err and "(most like right)" in called.err, called.err
    assert views(called.json["run"])["flip"] is False
    called = cli("cache-logits", "--views", 1, "--threads", 1)
    assert called.code == 0 and "views: flip off, as runs/custom-student-pointers was trained" in called.err
    assert read_plan(Path("cache/custom-student-pointers")).views["flip"] is False
    for command in (("distill",), ("distill", "--live", "--name", "live"), ("finetune", "--name", "tuned")):
        called = cli(*command, *quick, "--json")
        assert called.code == 0 and views(called.json["run"])["flip"] is False, called.err


def test_flips_stay_on_where_they_keep_the_class(cli: Any, folder: Path, quick: Any) -> None:
    called = cli("train-teacher", "--model", "custom-student", "--data", folder, *quick, "--json")
    assert "flip: on" in called.err and views(called.json["run"])["flip"] is True


@pytest.mark.parametrize(("options", "flip"), [(("--flip", "on"), True), (("--no-flip",), False)])
def test_flips_asked_for_are_not_looked_at(
    cli: Any, pointers: Path, quick: Any, options: tuple[str, ...], flip: bool
) -> None:
    called = cli("train-teacher", "--model", "custom-student", "--data", pointers, *quick, *options, "--json")
    assert called.code == 0 and "flip:" not in called.err and views(called.json["run"])["flip"] is flip


def test_on_and_off_at_once_are_refused(cli: Any) -> None:
    called = cli("train-teacher", "--flip", "on", "--no-flip")
    assert called.code == 2 and "--flip on and --no-flip" in called.err


def test_a_teachers_views_are_inherited_and_what_differs_is_told(cli: Any, folder: Path, quick: Any) -> None:
    train = ("train-teacher", "--model", "custom-student", "--data", folder, *quick)
    assert cli(*train, "--no-flip", "--crop", 0, "--erase", 0.5).code == 0
    called = cli("distill", "--views", 1, *quick, "--json")
    found = views(called.json["run"])
    assert (found["flip"], found["crop"], found["erase"]) == (False, 0.0, 0.5)
    live = cli("distill", "--live", "--flip", "on", "--crop", 0.25, "--name", "live", *quick, "--json")
    found = views(live.json["run"])
    assert (found["flip"], found["crop"], found["erase"]) == (True, 0.25, 0.5)
    assert "views: crop 0.25, not 0.0; flip on, not off, as runs/custom-student-pictures was trained" in live.err


def test_other_views_of_an_older_cache_are_told(cli: Any, copy: Path, quick: Any) -> None:
    run = Run(copy / "runs" / TEACHER)
    run.update(views=run.manifest()["views"] | {"flip": False})
    called = cli("distill", *quick, "--name", "x")
    assert called.code == 0 and f"--name {TEACHER} --flip off --overwrite makes it anew" in called.err, called.err
    assert cli("cache-logits", "--name", TEACHER, "--flip", "off", "--overwrite", "--views", 1).code == 0
    assert read_plan(copy / "cache" / TEACHER).views["flip"] is False


def test_a_run_from_before_flips_had_a_name_is_still_read(cli: Any, copy: Path, quick: Any) -> None:
    manifest = Run(copy / "runs" / TEACHER).manifest()
    config = manifest["config"] | {"flip": True}
    write_json(
        copy / "runs" / TEACHER / "manifest.json", manifest | {"config": config, "given": config | {"flip": None}}
    )
    assert cli("train-teacher", "--name", TEACHER, "--resume", "--flip", "on").code == 0
    called = cli("train-teacher", "--name", TEACHER, "--resume", "--no-flip")
    assert called.code == 2 and "--flip is off here but on" in called.err
    repeat = ("train-teacher", "--config", copy / "runs" / TEACHER / "manifest.json", "--name", "again", "--json")
    called = cli(*repeat)
    assert called.code == 0, called.err
    assert views(called.json["run"])["flip"] is True


def test_a_dry_run_tells_what_its_teacher_confuses(cli: Any, pointers: Path, quick: Any) -> None:
    train = ("train-teacher", "--model", "custom-student", "--data", pointers, "--val-fraction", 0.4)
    assert cli(*train, *quick, "--epochs", 25, "--lr", 0.01).code == 0
    called = cli("distill", "--dry-run", "--flip", "on", *quick)
    assert (
        called.code == 0
        and ("left become right" in called.err or "right become left" in called.err)
        and "--flip off" in called.err
    ), called.err
    assert "become" not in cli("distill", "--dry-run", *quick).err
    shutil.rmtree("cache", ignore_errors=True)
