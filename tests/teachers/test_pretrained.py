import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from edgekd.compute.evaluate import evaluate
from edgekd.compute.formats import Format
from edgekd.config import Data
from edgekd.data.sources import open_data
from edgekd.models.build import build
from edgekd.report import Silent
from edgekd.teachers.pretrained import fit_head


@pytest.fixture
def weights(workplace: Path, tmp_path: Path) -> Path:
    """The teacher's weights as somebody's file."""
    path = tmp_path / "theirs.safetensors"
    path.write_bytes((workplace / "runs" / "custom-student-pictures" / "model.safetensors").read_bytes())
    return path


def test_a_weight_file_becomes_a_teacher_run(cli: Any, folder: Path, weights: Path, quick: Any, tmp_path: Path) -> None:
    options = ("--teacher", "custom-student", "--teacher-weights", weights, "--data", folder)
    called = cli("distill", *options, *quick, "--json")
    assert called.code == 0, called.err
    run = tmp_path / "runs" / "custom-student-pictures"
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["parents"]["weights"] == str(weights) and manifest["parents"]["head"] == "kept"
    assert called.json["parents"]["teacher"]["sha256"] == manifest["weights_sha256"]


def test_weights_of_other_classes_get_a_head_fitted(cli: Any, folder: Path, tmp_path: Path, quick: Any) -> None:
    data = open_data(Data(data=str(folder)), Silent())

    class Seven:
        classes = tuple("abcdefg")
        canvas, channels, mean, std = data.canvas, data.channels, data.mean, data.std

    torch.manual_seed(0)
    save_file(build("resnet8", Seven(), input_size=16).backbone.state_dict(), tmp_path / "seven.safetensors")
    options = ("--teacher", "resnet8", "--teacher-weights", tmp_path / "seven.safetensors", "--data", folder)
    called = cli("cache-logits", *options, "--views", 1, "--threads", 1, "--json")
    assert called.code == 0 and "head is fitted" in called.err, called.err
    assert called.json["teacher_top1"] > 0.6


def test_a_fitted_head_separates_what_the_features_separate(folder: Path) -> None:
    data = open_data(Data(data=str(folder)), Silent())
    torch.manual_seed(0)
    network = build("resnet8", data)
    body = {name: value.clone() for name, value in network.backbone.state_dict().items()}
    fit_head(network, data, Silent())
    assert evaluate(network, data.train, 36, Format()).top1 > 0.9
    changed = [name for name, value in network.backbone.state_dict().items() if not torch.equal(value, body[name])]
    assert len(changed) == 2


def test_wrong_weights_are_told_before_anything_is_made(cli: Any, folder: Path, weights: Path, tmp_path: Path) -> None:
    called = cli("cache-logits", "--teacher", "resnet8", "--teacher-weights", weights, "--data", folder)
    assert called.code == 3 and "not weights of resnet8" in called.err
    assert not (tmp_path / "runs").exists() and not (tmp_path / "cache").exists()


def test_weights_without_a_model_name_are_refused(cli: Any, folder: Path, weights: Path) -> None:
    called = cli("distill", "--teacher-weights", weights, "--data", folder)
    assert called.code == 2 and "name the model" in called.err


def test_a_net_that_nobody_trained_says_how(cli: Any, folder: Path) -> None:
    called = cli("distill", "--teacher", "resnet8", "--data", folder)
    assert called.code == 4 and "train-teacher --model resnet8" in called.err


def test_the_same_weights_are_adopted_once(cli: Any, folder: Path, weights: Path, tmp_path: Path) -> None:
    options = ("--teacher", "custom-student", "--teacher-weights", weights, "--data", folder, "--views", 1)
    for _ in range(2):
        assert cli("cache-logits", *options).code == 0
    assert [each.name for each in (tmp_path / "runs").iterdir()] == ["custom-student-pictures"]
