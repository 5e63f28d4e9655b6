"""The figures of runs and files: of what is delivered, and the same whoever computes them."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edgekd.config import Code
from edgekd.models.trained import load_network
from edgekd.runs import Run, file_sum
from edgekd.runtimes.onnx_file import read_model

STUDENT = "tiny-cnn-from-custom-student-pictures"


def test_a_run_trained_in_bf16_is_judged_in_fp32(cli: Any, folder: Path, quick: Any, tmp_path: Path) -> None:
    options = ("--model", "custom-student", "--data", folder, *quick, "--precision", "bf16", "--name", "run")
    told = cli("train-teacher", *options, "--json").json
    figures = {split: cli("evaluate", "run", "--split", split, "--json").json for split in ("test", "val")}
    assert told["test_loss"] == pytest.approx(figures["test"]["loss"], rel=1e-7)
    assert told["test_top1"] == figures["test"]["top1"]
    assert told["val_top1"] == figures["val"]["top1"]
    in_bf16 = cli("evaluate", "run", "--precision", "bf16", "--json").json
    # how far bf16 is off depends on the processor
    assert in_bf16["loss"] != pytest.approx(told["test_loss"], rel=1e-6)


def test_figures_are_those_of_plain_counting(cli: Any, at_work: Path, folder: Path) -> None:
    network = load_network(Run(at_work / "runs" / STUDENT), Code()).eval()
    told = cli("evaluate", STUDENT, "--per-class", "--json").json
    found = cli("predict", STUDENT, folder / "test", "--json").json["images"]
    answers = [each["top"][0]["class"] for each in found]
    classes = [Path(each["image"]).parent.name for each in found]
    pairs = list(zip(classes, answers, strict=True))
    assert told["top1"] == np.mean([own == answer for own, answer in pairs])
    for row in told["per_class"]:
        recall = np.mean([answer == row["class"] for own, answer in pairs if own == row["class"]])
        assert row["images"] == 4 and row["recall"] == pytest.approx(recall)
    assert told["balanced_accuracy"] == pytest.approx(np.mean([row["recall"] for row in told["per_class"]]))
    assert told["macro_f1"] == pytest.approx(np.mean([row["f1"] for row in told["per_class"]]))
    assert "top5" not in told and len(network.spec.classes) == 3


@pytest.mark.parametrize("kind", ["run", "file"])
def test_wrong_images_are_listed(cli: Any, at_work: Path, folder: Path, tmp_path: Path, kind: str) -> None:
    model = STUDENT if kind == "run" else f"runs/{STUDENT}-finetuned/model.onnx"
    called = cli("evaluate", model, "--failures", tmp_path / "wrong.csv", "--json")
    with (tmp_path / "wrong.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    wrong = {}
    for each in cli("predict", model, folder / "test", "--json").json["images"]:
        place, best = Path(each["image"]), each["top"][0]
        if best["class"] != place.parent.name:
            wrong[f"{place.parent.name}/{place.name}"] = (place.parent.name, best["class"], best["probability"])
    assert len(rows) == len(wrong) == called.json["failures"]["images"] == round(12 * (1 - called.json["top1"]))
    for row in rows:
        own, answer, share = wrong[row["image"]]
        assert (row["class"], row["answer"]) == (own, answer)
        assert float(row["confidence"]) == pytest.approx(share, abs=1e-3)
    shares = [float(row["confidence"]) for row in rows]
    assert rows and shares == sorted(shares, reverse=True)


def test_the_list_may_be_json_and_of_validation_images(cli: Any, at_work: Path, tmp_path: Path) -> None:
    file = tmp_path / "wrong.json"
    called = cli("evaluate", STUDENT, "--split", "train", "--failures", file, "--per-class")
    assert called.code == 0 and "By class" in called.out and f"listed in {file}" in called.out
    rows = json.loads(file.read_text())["failures"]
    assert all(set(row) == {"image", "class", "answer", "confidence"} for row in rows)
    assert all(row["image"].split("/")[0] == row["class"] for row in rows)


def test_a_list_that_cannot_be_written_is_told_before_any_work(cli: Any, at_work: Path, tmp_path: Path) -> None:
    assert cli("evaluate", STUDENT, "--failures", "wrong.txt").code == 2
    (tmp_path / "file").write_text("")
    called = cli("evaluate", STUDENT, "--failures", tmp_path / "file" / "wrong.csv")
    assert called.code == 3 and "evaluating" not in called.err


def test_a_network_that_answers_nan_has_no_accuracy(cli: Any, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy)
    run = Run(copy / "runs" / STUDENT)
    network = load_network(run, Code())
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    save_file(network.backbone.state_dict(), run.weights)
    run.update(weights_sha256=file_sum(run.weights))
    called = cli("evaluate", STUDENT)
    assert called.code == 3 and "no finite numbers" in called.err


def test_the_accuracy_in_a_file_is_the_file_s(cli: Any, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its run's manifest says, as after quantisation or a training in another number format."""
    monkeypatch.chdir(copy)
    run = Run(copy / "runs" / STUDENT)
    run.update(result=run.manifest()["result"] | {"test_top1": 0.987})
    told = cli("export", STUDENT, "--json").json
    own = cli("evaluate", run.onnx, "--json").json["top1"]
    assert (read_model(run.onnx).record or {})["top1"] == told["test"]["top1"] == own != 0.987
    assert told["run_top1"] == 0.987
    profiled = ("profile", run.onnx, "--duration", 0.05, "--warmup", 0, "--min-top1")
    assert cli(*profiled, own).code == 0 and cli(*profiled, own + 0.01).code == 5


def test_what_was_exported_before_is_replaced_whole(cli: Any, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy)
    file = copy / "runs" / STUDENT / "model.onnx"
    assert cli("export", STUDENT).code == 0
    before = file.read_bytes()
    assert cli("export", STUDENT).code == 0
    assert file.read_bytes() == before
