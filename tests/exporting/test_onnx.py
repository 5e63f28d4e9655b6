import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edgekd.errors import CheckFailed, CheckpointError
from edgekd.exporting.onnx import write_onnx
from edgekd.exporting.parity import check, compare


@pytest.fixture(scope="module")
def backbone() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 3))


@pytest.fixture(scope="module")
def file(backbone: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    write_onnx(backbone, torch.randn(2, 3, 8, 8), path, 18, {"classes": ["a", "b", "ü"]})
    return path


def test_the_metadata_is_one_json_object(file: Path) -> None:
    properties = {each.key: each.value for each in onnx.load(file).metadata_props}
    assert json.loads(properties["edgekd"]) == {"classes": ["a", "b", "ü"]}


def test_nothing_but_the_file_is_left(file: Path) -> None:
    assert [each.name for each in file.parent.iterdir()] == ["model.onnx"]


def test_names_opset_and_dynamic_batch(file: Path) -> None:
    model = onnx.load(file)
    assert [each.name for each in model.graph.input] == ["input"]
    assert [each.name for each in model.graph.output] == ["logits"]
    assert model.opset_import[0].version == 18
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param


@pytest.mark.parametrize("count", [1, 2, 70])
def test_the_file_computes_what_the_network_computes(file: Path, backbone: nn.Module, count: int) -> None:
    inputs = torch.randn(count, 3, 8, 8)
    with torch.inference_mode():
        expected = backbone.eval()(inputs).numpy()
    parity = compare(file, inputs.numpy(), expected)
    assert parity.images == count and parity.top1_agreement == 1 and check(parity, file, 1e-4) is None


def test_other_logits_fail_the_check(file: Path) -> None:
    inputs = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    parity = compare(file, inputs, np.ones((4, 3), np.float32))
    assert isinstance(check(parity, file, 1e-3), CheckFailed)


def test_not_a_number_fails_the_check(file: Path) -> None:
    inputs = np.full((1, 3, 8, 8), np.nan, np.float32)
    assert check(compare(file, inputs, np.ones((1, 3), np.float32)), file, 1e-3) is not None


class Untranslatable(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum((1, 2, 3), keepdim=False)[:, None] * (1 if float(x.sum()) > 0 else 2)


def test_what_cannot_be_exported_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="exporter"):
        write_onnx(Untranslatable(), torch.randn(2, 3, 8, 8), tmp_path / "m.onnx", 18, {})
    assert list(tmp_path.iterdir()) == []
