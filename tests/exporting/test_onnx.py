import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from edgekd.errors import CheckFailed, CheckpointError
from edgekd.exporting.onnx import Versions, versions, write_onnx
from edgekd.exporting.parity import check, compare
from edgekd.runtimes.onnx_file import read_model


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


def test_the_versions_are_what_the_file_says(backbone: nn.Module, tmp_path: Path, file: Path) -> None:
    path = tmp_path / "m.onnx"
    written = write_onnx(backbone, torch.randn(2, 3, 8, 8), path, 21, {})
    model = onnx.load(path)
    assert written == versions(model) == Versions(21, 10) == Versions(model.opset_import[0].version, model.ir_version)
    assert versions(onnx.load(file)) == Versions(18, 8)


def test_nothing_of_this_machine_is_in_the_file(file: Path) -> None:
    content = file.read_bytes()
    assert b"/" + Path(__file__).parent.name.encode() not in content and b"site-packages" not in content
    assert b"stack_trace" not in content


def test_the_exporter_says_nothing(backbone: nn.Module, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_onnx(backbone, torch.randn(2, 3, 8, 8), tmp_path / "m.onnx", 20, {})
    assert capfd.readouterr() == ("", "")


class Few(CalibrationDataReader):
    """Two batches to calibrate on."""

    def __init__(self) -> None:
        self.left = [{"input": np.full((2, 3, 8, 8), value, np.float32)} for value in (-1, 1)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self.left.pop() if self.left else None


@pytest.mark.filterwarnings("ignore")
def test_onnx_runtimes_own_tools_take_the_file(file: Path, tmp_path: Path) -> None:
    inputs = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(str(file)).run(None, {"input": inputs})
    made = {name: str(tmp_path / f"{name}.onnx") for name in ("prepared", "static", "dynamic", "optimised")}
    quant_pre_process(str(file), made["prepared"])
    quantize_static(made["prepared"], made["static"], Few(), quant_format=QuantFormat.QDQ)
    quantize_dynamic(str(file), made["dynamic"])
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = made["optimised"]
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(str(file), options)
    for name, path in made.items():
        (found,) = onnxruntime.InferenceSession(path).run(None, {"input": inputs})
        near = 0.1 if name in ("static", "dynamic") else 1e-6
        assert np.abs(found - expected).max() < near * np.abs(expected).max(), name
    assert {read_model(Path(made[name])).precision for name in ("static", "dynamic")} == {"int8"}


def test_shapes_and_types_hold_in_strict_mode(file: Path) -> None:
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    found = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    assert [each.dim_value for each in found.graph.output[0].type.tensor_type.shape.dim] == [0, 3]


OLD = """
import sys
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
inputs = numpy.load(sys.argv[2])
numpy.save(sys.argv[3], session.run(None, {"input": inputs})[0])
print(onnxruntime.__version__)
"""


@pytest.mark.slow
def test_onnx_runtime_1_16_gives_the_same_logits(file: Path, backbone: nn.Module, tmp_path: Path) -> None:
    python = shutil.which("python3.11") or sys.executable
    place = tmp_path / "venv"
    steps = [
        [python, "-m", "venv", str(place)],
        [str(place / "bin" / "pip"), "install", "--quiet", "onnxruntime==1.16.3", "numpy<2"],
    ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"ONNX Runtime 1.16.3 cannot be installed: {(done.stderr or done.stdout).strip()[-200:]}")
    inputs = torch.randn(4, 3, 8, 8)
    np.save(tmp_path / "inputs.npy", inputs.numpy())
    places = [str(file), str(tmp_path / "inputs.npy"), str(tmp_path / "logits.npy")]
    done = subprocess.run([str(place / "bin" / "python"), "-c", OLD, *places], capture_output=True, text=True)
    assert done.stdout.strip() == "1.16.3", done.stderr
    with torch.inference_mode():
        expected = backbone.eval()(inputs).numpy()
    assert np.abs(np.load(tmp_path / "logits.npy") - expected).max() < 1e-5 * np.abs(expected).max()


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
