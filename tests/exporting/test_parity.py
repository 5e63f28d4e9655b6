"""Files made wrong on purpose must fail, and answers that prove nothing are not called equal."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from edgekd.errors import CheckFailed
from edgekd.exporting.onnx import write_onnx
from edgekd.exporting.parity import Parity, check, check_rounded, compare, difference, reject

Change = Callable[[onnx.ModelProto], None]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.LeakyReLU(), nn.Conv2d(4, 4, 1), nn.LeakyReLU(), nn.AdaptiveAvgPool2d(1)]
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    write_onnx(nn.Sequential(*layers, nn.Flatten(), nn.Linear(4, 3)).eval(), torch.randn(2, 3, 8, 8), path, 18, {})
    return path


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(20, 3, 8, 8)).astype(np.float32)


def scale_weights(model: onnx.ModelProto) -> None:
    first = model.graph.initializer[0]
    first.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(first) * np.float32(1.05), first.name))


def drop_layer(model: onnx.ModelProto) -> None:
    dropped = [node for node in model.graph.node if node.op_type == "Conv"][1]
    for node in model.graph.node:
        node.input[:] = [dropped.input[0] if name == dropped.output[0] else name for name in node.input]
    model.graph.node.remove(dropped)


def spoil(model: onnx.ModelProto) -> None:
    first = model.graph.initializer[0]
    values = numpy_helper.to_array(first).copy()
    values.flat[0] = np.nan
    first.CopyFrom(numpy_helper.from_array(values, first.name))


@pytest.mark.parametrize("change", [scale_weights, drop_layer, spoil])
def test_a_file_made_wrong_fails(file: Path, inputs: np.ndarray, tmp_path: Path, change: Change) -> None:
    expected = onnx_answer(file, inputs)
    model = onnx.load(file)
    change(model)
    onnx.save(model, tmp_path / "wrong.onnx")
    parity = compare(tmp_path / "wrong.onnx", inputs, expected)
    assert isinstance(check(parity, tmp_path / "wrong.onnx", 1e-3), CheckFailed)
    assert check(compare(file, inputs, expected), file, 1e-3) is None


def onnx_answer(file: Path, inputs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(file))
    return session.run(None, {"input": inputs})[0]


def test_swapped_channels_are_noticed(file: Path, inputs: np.ndarray) -> None:
    expected = onnx_answer(file, inputs)
    assert check(compare(file, np.ascontiguousarray(inputs[:, ::-1]), expected), file, 1e-3) is not None


def test_logits_that_do_not_vary_prove_nothing(tmp_path: Path) -> None:
    constant = np.tile(np.array([[1.0, 2.0, 3.0]], np.float32), (10, 1))
    for failure in (
        check(difference(constant, constant), tmp_path, 1e-3),
        check_rounded(difference(constant, constant), tmp_path, 0.5),
    ):
        assert failure is not None and "unproven" in failure.problem and failure.exit_code == 5


def test_accuracy_lost_to_rounding() -> None:
    expected = np.eye(4, dtype=np.float32)
    found = expected[[1, 1, 2, 3]]
    labels = np.arange(4)
    parity = difference(found, expected, labels)
    assert parity.top1_change == -0.25 and parity.top1_agreement == 0.75
    assert check_rounded(parity, Path("m"), 0.25) is None
    assert "25.00%" in str(check_rounded(parity, Path("m"), 0.2))
    assert difference(found, expected, np.full(4, -1)).top1_change is None


def test_values_that_are_no_numbers_fail_at_any_tolerance() -> None:
    expected = np.eye(3, dtype=np.float32)
    found = expected.copy()
    found[0, 0] = np.nan
    assert check_rounded(difference(found, expected), Path("m"), 1.0) is not None
    assert check(Parity(float("nan"), 0.0, 1.0, 3), Path("m"), 1e9) is not None


def test_a_rejected_file_is_kept_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(b"x")
    assert reject(tmp_path / "part", tmp_path / "m.onnx").name == "m.onnx.rejected"
    assert not (tmp_path / "m.onnx").exists() and not (tmp_path / "part").exists()
