"""No labels, no head: a teacher's features teach a student on unlabelled images, a few labels follow."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from edgekd.config import Data
from edgekd.data.sources import open_data
from edgekd.models.build import build
from edgekd.report import Silent
from tests.conftest import make_folder

FIT = ("--threads", 1, "--precision", "fp32", "--memory-format", "channels-last", "--batch-size", 9, "--epochs", 2)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Pictures without labels, in one folder."""
    make_folder(tmp_path / "many")
    return tmp_path / "many" / "train"


@pytest.fixture
def features(tmp_path: Path, images: Path) -> Path:
    """The weights of a small vision transformer that has no classifier."""
    torch.manual_seed(0)
    network = build("vit_tiny", open_data(Data(data="none", unlabelled=images), Silent()))
    state = {name: value for name, value in network.backbone.state_dict().items() if not name.startswith("head.")}
    save_file(state, tmp_path / "features.safetensors")
    return tmp_path / "features.safetensors"


def taught(cli: Any, images: Path, *options: object) -> Any:
    given = ("--data", "none", "--unlabelled", images, "--student", "resnet8", "--name", "body", "--lr", 0.02)
    return cli("distill", *given, *FIT, *options)


def rows(run: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("runs", run, "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("method", [("fitnet", "--live"), ("rkd",), ("scalekd", "--set", "kd=off")])
def test_features_first_and_a_few_labels_after(
    cli: Any, images: Path, features: Path, own_folder: Path, method: tuple[str, ...]
) -> None:
    teacher = ("--teacher", "vit_tiny", "--teacher-weights", features)
    called = taught(cli, images, *teacher, "--method", *method, "--json")
    assert called.code == 0, called.err
    assert "it teaches by its features alone" in called.err and "none with a label" in called.err
    assert called.json["test_top1"] is None and called.json["best_epoch"] == 2
    last = rows("body")[-1]
    assert "ce" not in last and "val_top1" not in last and last["best"]
    assert rows("body")[0]["loss"] > last["loss"] > 0
    assert cli("runs", "ls").code == 0
    few = cli("finetune", "body", "--data", own_folder, "--label-fraction", 0.5, *FIT, "--json")
    assert few.code == 0, few.err
    assert "the head starts fresh" in few.err and few.json["test_images"] == 12
    names = ("body", "body-finetuned-pictures")
    body, tuned = (json.loads(Path("runs", name, "manifest.json").read_text()) for name in names)
    assert body["model"]["classes"] == ["unlabelled"] and tuned["model"]["classes"] == ["disc", "frame", "stripes"]


def test_a_teacher_with_classes_hands_them_on(cli: Any, copy: Path, images: Path) -> None:
    called = taught(cli, images, "--teacher", "custom-student-pictures", "--json")
    assert called.code == 0, called.err
    assert called.json["parents"]["cache"] and rows("body")[-1]["kd"] > 0 and "ce" not in rows("body")[-1]
    manifest = json.loads(Path("runs/body/manifest.json").read_text())
    assert manifest["model"]["classes"] == ["disc", "frame", "stripes"] and manifest["data"]["images"] == 36
    Path("runs/body/manifest.json").write_text(json.dumps(manifest | {"status": "interrupted"}))
    assert cli("distill", "--name", "body", "--resume").code == 0


def test_what_needs_classes_or_labels_is_refused(cli: Any, images: Path, features: Path) -> None:
    teacher = ("--teacher", "vit_tiny", "--teacher-weights", features)
    for method in ("kd", "ofa", "scalekd"):
        called = taught(cli, images, *teacher, "--method", method)
        assert called.code == 2 and f"--method {method} learns from classes" in called.err and "fitnet" in called.err
    called = taught(cli, images, "--method", "early-exits")
    assert called.code == 2 and "learns from classes" in called.err
    called = cli("train-teacher", "--data", "none", "--unlabelled", images, *FIT)
    assert called.code == 3 and "no image has a label" in called.err
    called = taught(cli, images, "--peers", "resnet8")
    assert called.code == 3 and "distill --peers learns from labels" in called.err
    called = cli("train-teacher", "--data", "none")
    assert called.code == 3 and "--unlabelled DIR" in called.err
    assert not Path("cache").exists()
