import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from edgekd.cache.store import open_cache
from edgekd.config import Code, Data
from edgekd.data.loader import view_in_order
from edgekd.data.sources import open_data
from edgekd.images.views.recipe import ViewRecipe
from edgekd.models.trained import load_network
from edgekd.report import Silent
from edgekd.runs import Run

TEACHER = "custom-student-pictures"


def manifest(place: Path, run: str) -> dict[str, Any]:
    return json.loads((place / "runs" / run / "manifest.json").read_text())


def test_the_cache_holds_what_the_teacher_says_of_each_view(workplace: Path, folder: Path) -> None:
    network = load_network(Run(workplace / "runs" / TEACHER), Code()).eval()
    data = open_data(Data(data=str(folder)), Silent())
    cache = open_cache(workplace / "cache" / TEACHER)
    recipe = ViewRecipe(cache.plan.views["crop"], cache.plan.views["flip"], cache.plan.views["seed"])
    for view in range(cache.views):
        batch = next(view_in_order(data.everything, recipe, view, 36, range(36)))
        with torch.inference_mode():
            said = network(batch.canvas)
        assert torch.allclose(cache.logits(view, batch.index), said, atol=0.02, rtol=2e-3)


def test_cached_and_live_students_are_alike(cli: Any, copy: Path, quick: Any) -> None:
    exact = ("--precision", "fp32")
    options = ("distill", *quick, *exact, "--epochs", 2, "--teacher", TEACHER, "--json")
    shutil.rmtree(copy / "cache")
    assert cli("cache-logits", "--views", 2, "--store", "fp32", "--threads", 1, *exact).code == 0
    cached = cli(*options, "--name", "cached").json
    live = cli(*options, "--name", "live", "--live", "--view-seed", 0).json
    assert "cache" in cached["parents"] and "cache" not in live["parents"]
    losses = [
        [json.loads(line)["kd"] for line in (copy / "runs" / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("cached", "live")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("how", [(), ("--live",)])
def test_a_student_learns_in_bf16(cli: Any, copy: Path, quick: Any, how: tuple[str, ...]) -> None:
    called = cli("distill", *quick, *how, "--teacher", TEACHER, "--precision", "bf16", "--name", "half", "--json")
    assert called.code == 0 and math.isfinite(called.json["test_top1"])


def test_a_missing_cache_is_written_first(cli: Any, copy: Path, quick: Any) -> None:
    shutil.rmtree(copy / "cache")
    called = cli("distill", *quick, "--name", "x", "--views", 1)
    assert called.code == 0 and open_cache(copy / "cache" / TEACHER).views == 1


def test_more_views_are_added_to_a_cache(cli: Any, copy: Path) -> None:
    before = (copy / "cache" / TEACHER / "view-0000" / "00000.safetensors").read_bytes()
    assert cli("cache-logits", "--views", 3, "--json").json["views"] == 3
    assert (copy / "cache" / TEACHER / "view-0000" / "00000.safetensors").read_bytes() == before


def test_an_interrupted_cache_goes_on_to_the_same_bytes(cli: Any, copy: Path) -> None:
    folder = copy / "cache" / TEACHER
    expected = {path: path.read_bytes() for path in folder.rglob("*") if path.name != "log.jsonl" and path.is_file()}
    (folder / "manifest.json").unlink()
    (folder / "view-0001" / "00000.safetensors").unlink()
    assert cli("cache-logits", "--views", 2).code == 0
    assert {path: path.read_bytes() for path in expected} == expected


def test_a_cache_does_without_its_teacher(cli: Any, copy: Path, quick: Any) -> None:
    shutil.rmtree(copy / "runs" / TEACHER)
    assert cli("distill", *quick, "--cache", TEACHER, "--name", "x").code == 0


def test_a_retrained_teacher_does_not_fit_its_old_cache(cli: Any, copy: Path, folder: Path, quick: Any) -> None:
    train = ("train-teacher", "--model", "custom-student", "--data", folder, "--overwrite", "--seed", 5)
    assert cli(*train, *quick).code == 0
    called = cli("distill", *quick, "--name", "x")
    assert called.code == 3 and "teacher weights" in called.err and "--overwrite" in called.err
    assert not (copy / "runs" / "x").exists()
    assert (
        cli("cache-logits", "--overwrite", "--views", 1).code == 0 and cli("distill", *quick, "--name", "x").code == 0
    )


def test_other_views_than_the_caches_are_refused(cli: Any, copy: Path, quick: Any) -> None:
    called = cli("distill", *quick, "--name", "x", "--crop", 0.25)
    assert called.code == 3 and "crop (0.125 there, 0.25 here)" in called.err


def test_a_name_finds_the_run_of_that_model(cli: Any, copy: Path, quick: Any) -> None:
    called = cli("distill", "--teacher", "custom-student", *quick, "--name", "x", "--json")
    assert called.json["parents"]["teacher"]["name"] == TEACHER


def test_unlabelled_images_are_distilled_too(cli: Any, own_folder: Path, quick: Any) -> None:
    shutil.move(own_folder / "train" / "disc" / "000.png", own_folder / "train" / "disc" / "moved.png")
    unlabelled = own_folder / "train" / "_unlabelled"
    unlabelled.mkdir()
    for path in sorted((own_folder / "train" / "frame").iterdir())[:4]:
        shutil.move(path, unlabelled / path.name)
    teach = cli("train-teacher", "--model", "tiny-cnn", "--data", own_folder, *quick)
    assert teach.code == 0, teach.err
    called = cli("distill", "--student", "custom-student", *quick, "--json")
    assert called.code == 0 and called.json["test_images"] == 12, called.err


def test_the_newest_cache_of_the_teacher_brings_its_own_options(cli: Any, copy: Path, quick: Any) -> None:
    assert cli("cache-logits", "--limit", 18, "--name", "small", "--views", 1, "--threads", 1).code == 0
    called = cli("distill", *quick, "--name", "x", "--json")
    assert called.code == 0 and called.json["parents"]["cache"]["path"] == "cache/small", called.err


def test_another_store_is_refused_and_overwritten(cli: Any, copy: Path) -> None:
    called = cli("cache-logits", "--store", "fp32")
    assert called.code == 3 and "fp16" in called.err
    assert cli("cache-logits", "--store", "fp32", "--views", 1, "--overwrite", "--json").json["store"] == "fp32"


def test_more_views_than_the_cache_has_are_not_made_up(cli: Any, copy: Path, quick: Any) -> None:
    called = cli("distill", "--cache", TEACHER, "--views", 3, *quick, "--name", "x")
    assert called.code == 2 and f"edgekd cache-logits --name {TEACHER} --views 3" in called.err
    assert cli("distill", "--cache", TEACHER, "--views", 1, *quick, "--name", "x").code == 0


@pytest.mark.parametrize("how", [(), ("--live",), ("--cache", TEACHER)])
def test_a_student_does_not_take_its_teachers_place(cli: Any, copy: Path, quick: Any, how: tuple[str, ...]) -> None:
    called = cli("distill", *how, *quick, "--name", TEACHER, "--overwrite")
    assert called.code == 2 and "is the teacher" in called.err
    assert (copy / "runs" / TEACHER / "model.safetensors").is_file()


def test_nothing_to_resume_is_told(cli: Any, copy: Path, quick: Any) -> None:
    called = cli("distill", *quick, "--name", "tiny", "--resume")
    assert called.code == 3 and "no run runs/tiny" in called.err and "tiny-cnn-from" in called.err
    assert not (copy / "runs" / "tiny").exists()


def test_a_resumed_distillation_keeps_its_method_settings(cli: Any, copy: Path, quick: Any) -> None:
    assert cli("distill", *quick, "--temperature", 1, "--alpha", 1, "--name", "cut").code == 0
    run = Run(copy / "runs" / "cut")
    before = run.weights.read_bytes()
    run.update(status="interrupted")
    shutil.rmtree(run.last.parent)
    called = cli("distill", "--name", "cut", "--temperature", 4, "--resume")
    assert called.code == 2 and "--temperature is 4.0 here but 1.0" in called.err
    assert cli("distill", "--name", "cut", "--resume").code == 0
    assert run.weights.read_bytes() == before


def test_a_temperature_that_topk_cannot_bear_is_refused(cli: Any, copy: Path, quick: Any) -> None:
    make = ("cache-logits", "--teacher", TEACHER, "--store", "topk", "--topk", 1, "--name", "top", "--views", 1)
    called = cli(*make, "--threads", 1)
    assert called.code == 0 and "error of the KD gradient" in called.err
    plan = json.loads((copy / "cache" / "top" / "plan.json").read_text())
    plan["topk_error"] = {"1": 0.01, "4": 0.07}
    (copy / "cache" / "top" / "plan.json").write_text(json.dumps(plan))
    called = cli("distill", "--cache", "top", *quick, "--name", "x")
    assert called.code == 3 and "7.0% at temperature 4" in called.err and "--store u8" in called.err
    assert cli("distill", "--cache", "top", "--set", "temperature=2", *quick, "--name", "x").code == 0


def test_what_a_topk_cache_would_lose_is_known_before_it_is_filled(
    cli: Any, copy: Path, quick: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(copy / "cache")
    options = ("distill", "--teacher", TEACHER, "--views", 1, *quick)
    called = cli(*options, "--store", "topk", "--topk", 1, "--name", "x")
    assert called.code == 3 and "KD gradient" in called.err
    assert not (copy / "cache").exists() and not (copy / "runs" / "x").exists()
    # the store that many classes get
    monkeypatch.setattr("edgekd.teachers.cache_planning.default_store", lambda _: "topk")
    monkeypatch.setattr("edgekd.teachers.cache_planning.TOPK", 1)
    called = cli(*options, "--name", "x")
    assert called.code == 0 and "store: u8" in called.err
    assert open_cache(copy / "cache" / TEACHER).plan.store == "u8"


@pytest.mark.parametrize("bad", [("--student", "tiny-cn"), ("--student-weights", "nowhere.safetensors")])
def test_a_bad_student_is_told_before_the_teacher_works(cli: Any, copy: Path, quick: Any, bad: tuple[str, str]) -> None:
    shutil.rmtree(copy / "cache")
    assert cli("distill", "--teacher", TEACHER, *bad, *quick, "--name", "x").code in (2, 3)
    assert not (copy / "cache").exists()


def test_few_labels_are_the_same_ones_for_teacher_and_student(cli: Any, folder: Path, quick: Any) -> None:
    teach = ("train-teacher", "--model", "custom-student", "--data", folder, "--label-fraction", 0.5)
    assert cli(*teach, *quick).code == 0
    called = cli("distill", "--teacher", TEACHER, *quick, "--json")
    assert called.code == 0, called.err
    assert "--label-fraction 0.5, as" in called.err
    options = [manifest(Path(), run)["data"] for run in (TEACHER, Path(called.json["run"]).name)]
    assert options[0] == options[1] and options[0]["options"]["label_fraction"] == 0.5
    # 36 images of which 18 are labelled, 3 of these held out: all but those teach the student, 15 taught the teacher
    steps = [manifest(Path(), run)["result"]["steps"] for run in (TEACHER, Path(called.json["run"]).name)]
    assert steps == [1, 3]
    whole = cli("distill", "--teacher", TEACHER, "--label-fraction", 1, "--name", "all", *quick, "--json")
    assert whole.code == 0 and manifest(Path(), "all")["data"]["options"]["label_fraction"] == 1


def test_a_teacher_that_saw_the_labelled_images_only_teaches_the_others_too(
    cli: Any, copy: Path, folder: Path, quick: Any
) -> None:
    others = copy / "others" / "more"
    shutil.copytree(folder / "test" / "disc", others)
    called = cli("distill", "--teacher", TEACHER, "--unlabelled", others.parent, *quick, "--name", "x", "--json")
    assert called.code == 0, called.err
    told = manifest(copy, "x")
    assert told["data"]["images"] == 36 + 4 and manifest(copy, TEACHER)["data"]["images"] == 36
    # 33 labelled training images and the 4 others, in batches of 9
    assert told["result"]["steps"] == 4 and told["data"]["options"]["unlabelled"] == str(others.parent)
    assert called.json["teacher_quality"]["train_images"] == 33
    assert called.json["teacher_quality"]["warnings"] == [
        f"teacher {TEACHER}: was trained for 2 epochs only; train it longer"
    ]
