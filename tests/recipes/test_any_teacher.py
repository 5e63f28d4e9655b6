"""Teachers that are no runs of ours: ONNX files, the logits of others, several caches as one."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from edgekd.cache.store import LogitCache, open_cache
from edgekd.config import Data
from edgekd.data.sources import open_data
from edgekd.images.imageset import ImageData
from edgekd.report import Silent

TEACHER = "custom-student-pictures"
STUDENT = "tiny-cnn-from-custom-student-pictures-finetuned"
FILE = Path("runs") / STUDENT / "model.onnx"


@pytest.fixture
def data(folder: Path) -> ImageData:
    return open_data(Data(data=str(folder)), Silent())


def everything(cache: LogitCache, view: int = 0) -> torch.Tensor:
    return cache.logits(view, np.arange(cache.rows))


def test_an_exported_file_says_what_its_run_says(cli: Any, copy: Path) -> None:
    options = ("--store", "fp32", "--views", 2, "--threads", 1, "--precision", "fp32")
    assert cli("cache-logits", "--teacher", STUDENT, "--name", "run", *options).code == 0
    called = cli("cache-logits", "--teacher", FILE, *options, "--json")
    assert called.code == 0 and called.json["teacher"] == str(FILE) and "data" in called.json, called.err
    run, file = open_cache(Path("cache/run")), open_cache(Path(called.json["cache"]))
    assert all(torch.allclose(everything(run, view), everything(file, view), atol=1e-4) for view in range(2))
    assert file.plan.compute["precision"] == "fp32" and file.plan.compute["memory_format"] == "channels-first"


def test_an_mnn_file_teaches_as_the_onnx_file_it_is_made_of(cli: Any, copy: Path, folder: Path) -> None:
    pytest.importorskip("MNN")
    exported = cli("export", STUDENT, "--output", "m.onnx", "--format", "mnn", "--duration", 0.05)
    assert exported.code == 0, exported.err
    for name in ("m.onnx", "m.mnn"):
        options = ("--name", name[2:], "--data", folder, "--store", "fp32", "--views", 1, "--threads", 1)
        called = cli("cache-logits", "--teacher", name, *options)
        assert called.code == 0, called.err
    first, second = (everything(open_cache(Path("cache") / name)) for name in ("onnx", "mnn"))
    assert (first - second).abs().max() < 1e-4 * first.abs().max()
    assert cli("cache-logits", "--teacher", "missing.mnn").code == 3


def test_cached_and_live_students_of_a_file_are_alike(cli: Any, copy: Path, quick: Any) -> None:
    assert cli("cache-logits", "--teacher", FILE, "--store", "fp32", "--views", 1, "--threads", 1).code == 0
    cached = cli("distill", "--teacher", FILE, *quick, "--name", "cached", "--json").json
    live = cli("distill", "--teacher", FILE, *quick, "--name", "live", "--live", "--view-seed", 0, "--json").json
    assert cached["parents"]["teacher"]["sha256"] == live["parents"]["teacher"]["sha256"]
    losses = [json.loads((copy / "runs" / name / "metrics.jsonl").read_text())["kd"] for name in ("cached", "live")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_a_file_from_elsewhere_is_taken_with_a_warning(cli: Any, copy: Path, folder: Path) -> None:
    model = onnx.load(FILE)
    del model.metadata_props[:]
    onnx.save(model, "theirs.onnx")
    called = cli("cache-logits", "--teacher", "theirs.onnx", "--data", folder, "--views", 1, "--threads", 1)
    assert called.code == 0 and "ImageNet's normalisation" in called.err, called.err
    assert "accuracy on view 0" in called.out and (copy / "cache" / "theirs-pictures").is_dir()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--teacher", "none.onnx"), 3, "no such file"),
        (("--teacher", "torn.onnx"), 3, "not an ONNX model"),
        (("--teacher", FILE, "--teacher-weights", FILE), 2, "own weights"),
        (("--teacher", FILE, "--columns", "pooled"), 2, "logits only"),
        (("--teacher", FILE, "--data", "two"), 3, "knows 3 classes"),
    ],
)
def test_what_cannot_teach_is_refused(
    cli: Any, copy: Path, own_folder: Path, arguments: tuple[Any, ...], code: int, words: str
) -> None:
    Path("torn.onnx").write_bytes(FILE.read_bytes()[:500])
    for split in ("train", "test"):
        shutil.rmtree(own_folder / split / "disc")
    own_folder.rename("two")
    called = cli("cache-logits", *arguments)
    assert called.code == code and words in called.err and len(called.err.strip().splitlines()) >= 2, called.err


def test_imported_logits_are_found_by_path_and_class(cli: Any, tmp_path: Path, folder: Path, data: ImageData) -> None:
    logits = np.random.default_rng(0).normal(size=(36, 3)).astype(np.float32)
    rows = sorted(zip(data.listing.paths, logits.tolist(), strict=True), key=lambda row: row[1])
    with (tmp_path / "theirs.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("path", "stripes", "disc", "frame"), *((path, *row) for path, row in rows)])
    called = cli("cache-logits", "--import", "theirs.csv", "--data", folder, "--store", "fp32", "--json")
    assert called.code == 0 and called.json["cache"] == "cache/theirs" and called.json["views"] == 1, called.err
    found = everything(open_cache(tmp_path / "cache" / "theirs"))
    assert torch.equal(found, torch.from_numpy(logits[:, [1, 2, 0]]))
    assert cli("cache-logits", "--import", "theirs.csv", "--data", folder, "--store", "fp32").code == 0


def test_students_learn_from_imported_logits(
    cli: Any, tmp_path: Path, folder: Path, data: ImageData, quick: Any
) -> None:
    np.savez("theirs.npz", logits=np.eye(3, dtype=np.float32)[data.everything.targets])
    assert cli("cache-logits", "--import", "theirs.npz", "--data", folder, "--name", "x").code == 0
    called = cli("distill", "--cache", "x", *quick, "--json")
    assert called.code == 0 and called.json["parents"]["teacher"]["place"] == "theirs.npz", called.err
    config = json.loads(Path(called.json["run"], "manifest.json").read_text())["config"]
    assert (config["crop"], config["flip"], config["views"]) == (0.0, "off", 1)
    Path("theirs.npz").unlink()
    assert cli("distill", "--cache", "x", *quick, "--name", "without-the-file").code == 0


def test_imported_probabilities_become_logits(cli: Any, tmp_path: Path, folder: Path) -> None:
    rows = np.random.default_rng(0).dirichlet(np.ones(3), 36)
    np.savez("theirs.npz", logits=rows)
    called = cli("cache-logits", "--import", "theirs.npz", "--data", folder, "--store", "fp32")
    assert called.code == 0 and "logarithms" in called.err
    found = everything(open_cache(tmp_path / "cache" / "theirs")).softmax(1)
    assert torch.allclose(found, torch.from_numpy(rows).float(), atol=1e-6)


def test_another_file_does_not_take_a_caches_place(cli: Any, folder: Path) -> None:
    for number in range(2):
        np.savez("theirs.npz", logits=np.full((36, 3), number, np.float32))
        called = cli("cache-logits", "--import", "theirs.npz", "--data", folder)
    assert called.code == 3 and "teacher weights" in called.err and "--overwrite" in called.err
    assert cli("cache-logits", "--import", "theirs.npz", "--data", folder, "--overwrite").code == 0
    called = cli("cache-logits", "--import", "theirs.npz", "--data", folder, "--store", "u8")
    assert called.code == 3 and "--store fp16" in called.err


def test_an_imported_cache_has_one_view(cli: Any, folder: Path, quick: Any) -> None:
    np.savez("theirs.npz", logits=np.zeros((36, 3), np.float32))
    assert cli("cache-logits", "--import", "theirs.npz", "--data", folder).code == 0
    called = cli("distill", "--cache", "theirs", "--views", 2, *quick)
    assert called.code == 2 and "imported logits are of one view" in called.err


@pytest.mark.parametrize(
    "option", [("--crop", 0.1), ("--views", 2), ("--teacher", "x"), ("--shard", "1/2"), ("--columns", "pooled")]
)
def test_what_imported_logits_cannot_have_is_refused(cli: Any, option: tuple[str, Any]) -> None:
    called = cli("cache-logits", "--import", "x.npz", *option)
    assert called.code == 2 and option[0] in called.err


def test_caches_teach_together(cli: Any, copy: Path, quick: Any) -> None:
    for name, views in (("one", 2), ("other", 1)):
        assert cli("cache-logits", "--teacher", TEACHER, "--name", name, "--views", views, "--threads", 1).code == 0
    called = cli("distill", "--cache", "one", "--cache", "other=3", *quick, "--json")
    assert called.code == 0, called.err
    parents = called.json["parents"]
    assert [each["weight"] for each in parents["caches"]] == [0.25, 0.75] and len(parents["teachers"]) == 2
    manifest = json.loads((Path(called.json["run"]) / "manifest.json").read_text())
    assert manifest["config"]["cache"] == ["cache/one", "cache/other=3.0"] and manifest["config"]["views"] == 1


def test_a_cache_and_itself_teach_like_the_cache(cli: Any, copy: Path, quick: Any) -> None:
    shutil.copytree(copy / "cache" / TEACHER, copy / "cache" / "again")
    one = cli("distill", "--cache", TEACHER, *quick, "--name", "one", "--json").json
    both = cli("distill", "--cache", TEACHER, "--cache", "again", *quick, "--name", "both", "--json").json
    assert one["test_loss"] == pytest.approx(both["test_loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--crop", 0.25), "crop"), (("--limit", 18), "18 images in 1 goes"), (("--canvas", 24), "canvas")],
)
def test_caches_that_do_not_fit_together_are_refused(
    cli: Any, copy: Path, folder: Path, quick: Any, options: tuple[Any, ...], words: str
) -> None:
    make = ("cache-logits", "--teacher", TEACHER, "--name", "other", "--views", 1, "--threads", 1)
    assert cli(*make, *options).code == 0
    called = cli("distill", "--cache", TEACHER, "--cache", "other", *quick, "--name", "x")
    assert called.code == 3 and "cache/other" in called.err and words in called.err, called.err


@pytest.mark.parametrize(
    ("caches", "code", "words"),
    [
        ((f"{TEACHER}=0",), 2, "no number above 0"),
        ((f"{TEACHER}=much",), 2, "no number above 0"),
        ((TEACHER, f"{TEACHER}=2"), 2, "named twice"),
        (("custom-student-picture",), 3, TEACHER),
    ],
)
def test_caches_that_mean_nothing_are_refused(cli: Any, at_work: Path, caches: Any, code: int, words: str) -> None:
    called = cli("distill", *(each for name in caches for each in ("--cache", name)), "--name", "no")
    assert called.code == code and words in called.err, called.err
