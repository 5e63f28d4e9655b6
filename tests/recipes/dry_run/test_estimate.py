"""`edgekd distill --dry-run`: it finds what distill would, writes nothing, and says what is missing."""

import shutil
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekd.cache.rows import row_bytes
from edgekd.data.batch import Batch
from edgekd.exporting import latency
from edgekd.methods.contract import Side
from edgekd.recipes.dry_run import timing

TEACHER = "custom-student-pictures"
DEVICE = """title = "A box"
[cpu]
arch = "any"
model = "any"
cores = 1
threads = 1
[match]
cpu_model = ["no such processor"]
[budget]
"""


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps: these tests ask what is said, not how exact it is."""
    monkeypatch.setattr(timing, "STEPS", 1)
    monkeypatch.setattr(timing, "WARM_UP", 1)
    monkeypatch.setattr(latency, "WARM_UP_SECONDS", 0.02)
    monkeypatch.setattr(latency, "SECONDS", 0.05)


@pytest.fixture
def dry(cli: Any, quick: Any) -> Any:
    """Call a dry run for its JSON."""

    def call(*arguments: object, code: int = 0) -> dict[str, Any]:
        called = cli("distill", "--dry-run", *quick, "--teacher", TEACHER, *arguments, "--json")
        assert called.code == code, called.err
        return called.json

    return call


def box(tmp_path: Path, budget: str) -> Path:
    """The profile of some other machine, with these limits."""
    path = tmp_path / "box.toml"
    path.write_text(DEVICE + budget)
    return path


def snapshot(place: Path) -> dict[Path, int]:
    """Every file below, with the time of its last change."""
    return {path: path.stat().st_mtime_ns for path in sorted(place.rglob("*"))}


def batch(count: int) -> Batch:
    return Batch(torch.zeros(count, 4, 4, 1), torch.zeros(count), np.arange(count), 0)


def test_nothing_is_written(copy: Path, dry: Any) -> None:
    shutil.rmtree(copy / "cache")
    before = snapshot(copy)
    found = dry("--views", 3, "--epochs", 5)
    assert snapshot(copy) == before
    assert found["cache"]["folder"] == f"cache/{TEACHER}" and found["cache"]["rows_left"] == 3 * 36


def test_the_figures_belong_together(copy: Path, dry: Any) -> None:
    shutil.rmtree(copy / "cache")
    found = dry("--views", 3, "--epochs", 5)
    told = found["forecast"]
    assert told["epochs"] == 5 and found["steps_per_epoch"] == 3
    assert told["filling_seconds"] == pytest.approx(3 * told["pass_seconds"])
    assert told["cached_seconds"] == pytest.approx(told["filling_seconds"] + 5 * told["cached_epoch_seconds"])
    assert told["live_epoch_seconds"] > told["cached_epoch_seconds"] > 0 < told["plain_epoch_seconds"]


def test_the_size_of_every_store_is_told(copy: Path, dry: Any) -> None:
    shutil.rmtree(copy / "cache")
    found = dry("--views", 2, "--store", "topk", "--topk", 2)["cache"]
    each = {"fp16": 2 * 3, "fp32": 4 * 3} | {store: row_bytes(store, 3, 2, {}) for store in ("u8", "topk")}
    assert found["size_bytes"] == {store: 2 * 36 * size for store, size in each.items()}
    assert found["store"] == "topk" and found["fits"] and found["free_bytes"] > 0


def test_a_cache_that_is_there_costs_nothing(copy: Path, dry: Any) -> None:
    found = dry()
    assert found["cache"]["is_there"] and found["cache"]["views"] == 2
    assert found["forecast"]["filling_seconds"] == 0 and found["forecast"]["break_even_epoch"] == 1


def test_only_missing_rows_are_counted(copy: Path, dry: Any) -> None:
    assert dry("--views", 3)["cache"]["rows_left"] == 36


def test_the_cache_named_does_not_need_its_teacher(copy: Path, cli: Any, quick: Any) -> None:
    shutil.rmtree(copy / "runs" / TEACHER)
    called = cli("distill", "--dry-run", *quick, "--cache", TEACHER, "--json")
    assert called.code == 0, called.err
    assert called.json["cache"]["is_there"] and called.json["teacher"]["model"] == "custom-student"


def test_an_onnx_file_is_timed_too(copy: Path, cli: Any, quick: Any) -> None:
    file = next((copy / "runs").glob("*/model.onnx"))
    called = cli("distill", "--dry-run", *quick, "--teacher", file, "--views", 1, "--json")
    assert called.code == 0, called.err
    assert called.json["teacher"]["params"] > 0 and called.json["forecast"]["filling_seconds"] > 0


def test_caches_of_several_teachers_have_no_live_teacher(copy: Path, cli: Any, quick: Any) -> None:
    shutil.copytree(copy / "cache" / TEACHER, copy / "cache" / "other")
    called = cli("distill", "--dry-run", *quick, "--cache", TEACHER, "--cache", "other", "--json")
    assert called.code == 0, called.err
    assert called.json["teacher"] is None and called.json["forecast"]["live_epoch_seconds"] is None


def test_with_live_no_cache_is_looked_for(copy: Path, dry: Any) -> None:
    assert dry("--live")["cache"]["rows_left"] > 0


def test_a_cache_that_does_not_fit_is_refused_as_in_earnest(copy: Path, cli: Any, quick: Any) -> None:
    called = cli("distill", "--dry-run", *quick, "--crop", 0.25)
    assert called.code == 3 and "crop (0.125 there, 0.25 here)" in called.err


def test_a_teacher_without_a_run_is_timed_and_said_to_be_missing(
    cli: Any, folder: Path, quick: Any, tmp_path: Path
) -> None:
    called = cli("distill", "--dry-run", *quick, "--teacher", "resnet8", "--data", folder, "--json")
    assert called.code == 0, called.err
    assert called.json["missing"] == "there is no run of it: edgekd train-teacher --model resnet8"
    assert called.json["forecast"]["live_epoch_seconds"] > 0 and not list(tmp_path.iterdir())


def test_a_weight_file_is_not_made_a_run(copy: Path, cli: Any, folder: Path, quick: Any) -> None:
    weights = (copy / "runs" / TEACHER / "model.safetensors").rename(copy / "theirs.safetensors")
    shutil.rmtree(copy / "runs")
    options = ("--teacher", "custom-student", "--teacher-weights", weights, "--data", folder)
    called = cli("distill", "--dry-run", *quick, *options, "--json")
    assert called.code == 0 and "would be made of" in called.json["missing"], called.err
    assert not (copy / "runs").exists()


def test_a_student_that_cannot_fit_the_device_fails(copy: Path, dry: Any, tmp_path: Path) -> None:
    found = dry("--device", box(tmp_path, "max_params = 10\nmax_size_mb = 1\nmin_top1 = 0.9\n"), code=5)["device"]
    assert found["can_meet"] is False and found["is_device"] is False
    assert {check["limit"]: check["passed"] for check in found["checks"]} == {
        "max_params": False,
        "max_size_mb": True,
        "min_top1": None,
    }


def test_an_unknown_device_is_refused_first(cli: Any) -> None:
    called = cli("distill", "--dry-run", "--device", "raspbery-pi-4", "--teacher", "resnet8")
    assert called.code == 3 and "raspberry-pi-4" in called.err


def test_a_device_without_dry_run_is_a_usage_error(cli: Any) -> None:
    called = cli("distill", "--device", "raspberry-pi-4")
    assert called.code == 2 and "--dry-run" in called.err


def test_a_pace_is_the_median_after_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "STEPS", 3)
    monkeypatch.setattr(timing, "WARM_UP", 2)
    clock = iter([0.0, 1.0, 2.0, 2.02, 2.1, 2.14])
    monkeypatch.setattr("edgekd.recipes.dry_run.timing.time.perf_counter", lambda: next(clock))
    assert timing.pace(lambda _: None, repeat(batch(2))) == pytest.approx(0.02)


def test_logits_stand_in_for_a_cache_in_every_store() -> None:
    for store, topk in (("fp16", 0), ("fp32", 0), ("u8", 0), ("topk", 2)):
        said = timing.StandInTeacher(Side(5, frozenset({"logits"})), store, topk, 8)(batch(3)).logits
        assert said is not None and said.shape == (3, 5) and torch.isfinite(said).all()
