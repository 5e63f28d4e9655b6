"""Files of every kind that other tools write, as networks over canvases."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edgekd.errors import CheckpointError
from edgekd.models.network import Network
from edgekd.models.onnx_network import IMAGENET, are_probabilities, open_onnx, rebuild_onnx
from edgekd.report import Silent

SIDE = 8
WEIGHT = np.array([[1.0, -2.0], [0.5, 0.25], [-1.0, 3.0]], np.float32)
"""Of the mean of each channel, [channels, classes]."""


class Toys:
    classes = ("a", "b")
    channels, canvas = 3, SIDE
    mean, std = (0.5,) * 3, (0.25,) * 3


class Grey(Toys):
    channels = 1


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Write a file that takes the mean of each channel and multiplies it with WEIGHT."""

    def write(
        shape: tuple[Any, ...] = ("n", 3, SIDE, SIDE), kind: int = TensorProto.FLOAT, softmax: bool = False
    ) -> Path:
        axes = [1, 2] if shape[3] in (1, 3) else [2, 3]
        channels = shape[3] if shape[3] in (1, 3) else shape[1]
        nodes = [
            helper.make_node("Cast", ["images"], ["x"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["x"], ["m"], axes=axes, keepdims=0),
            helper.make_node("MatMul", ["m", "w"], ["y"]),
            helper.make_node("Softmax" if softmax else "Identity", ["y"], ["scores"]),
        ]
        graph = helper.make_graph(
            nodes,
            "toys",
            [helper.make_tensor_value_info("images", kind, shape)],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [shape[0], 2])],
            [numpy_helper.from_array(np.resize(WEIGHT, (channels, 2)), "w")],
        )
        path = tmp_path / "toys.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
        return path

    return write


@pytest.fixture
def canvas() -> torch.Tensor:
    return torch.randint(0, 256, (5, SIDE, SIDE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def opened(path: Path, canvas: torch.Tensor, report: Silent | None = None) -> Network:
    return rebuild_onnx(path, open_onnx(path, Toys() if canvas.shape[3] == 3 else Grey(), canvas, report or Silent()))


def expected(canvas: torch.Tensor) -> torch.Tensor:
    """Of canvases normalised as ImageNet's are."""
    mean, std = (torch.tensor(each) for each in IMAGENET)
    return ((canvas.float().mean((1, 2)) / 255 - mean) / std) @ torch.from_numpy(WEIGHT)


@pytest.mark.parametrize("shape", [("n", 3, SIDE, SIDE), ("n", SIDE, SIDE, 3), ("n", 3, "h", "w")])
def test_planes_and_pixels_are_laid_out_as_the_graph_wants_them(
    make: Callable[..., Path], canvas: torch.Tensor, shape: tuple[Any, ...]
) -> None:
    assert torch.allclose(opened(make(shape), canvas)(canvas), expected(canvas), atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 5, 8])
def test_a_fixed_batch_is_filled_up(make: Callable[..., Path], canvas: torch.Tensor, batch: int) -> None:
    found = opened(make((batch, 3, SIDE, SIDE)), canvas)(canvas)
    assert found.shape == (5, 2) and torch.allclose(found, expected(canvas), atol=1e-5)


def test_half_precision_inputs_are_cast(make: Callable[..., Path], canvas: torch.Tensor) -> None:
    found = opened(make(kind=TensorProto.FLOAT16), canvas)(canvas)
    assert torch.allclose(found, expected(canvas), atol=1e-2)


def test_bytes_are_fed_as_they_are(make: Callable[..., Path], canvas: torch.Tensor) -> None:
    found = opened(make(("n", SIDE, SIDE, 3), TensorProto.UINT8), canvas)(canvas)
    assert torch.allclose(found, canvas.float().mean((1, 2)) @ torch.from_numpy(WEIGHT), rtol=1e-5)


def test_probabilities_become_logits(make: Callable[..., Path], canvas: torch.Tensor) -> None:
    report = Silent()
    found = opened(make(softmax=True), canvas, report)(canvas)
    assert torch.allclose(found, expected(canvas).log_softmax(1), atol=1e-5) and "logarithms" in report.notes[0]


def test_logits_are_no_probabilities() -> None:
    rows = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    assert are_probabilities(rows) and not are_probabilities(rows * 2) and not are_probabilities(rows - 0.1)


def test_what_is_assumed_is_told(make: Callable[..., Path], canvas: torch.Tensor) -> None:
    report = Silent()
    opened(make(), canvas, report)
    assert "ImageNet's normalisation" in report.warnings[0] and "classes in the data's order" in report.warnings[0]


def test_metadata_is_believed(make: Callable[..., Path], canvas: torch.Tensor) -> None:
    path, report = make(), Silent()
    model = onnx.load(path)
    entry = model.metadata_props.add()
    entry.key, entry.value = "edgekd", '{"classes": ["a", "b"], "mean": [0, 0, 0], "std": [1, 1, 1], "model": "best"}'
    onnx.save(model, path)
    network = opened(path, canvas, report)
    assert torch.allclose(network(canvas), canvas.float().mean((1, 2)) / 255 @ torch.from_numpy(WEIGHT), atol=1e-5)
    assert network.spec.name == "best" and not report.warnings


def test_grey_canvases_are_repeated_for_a_colour_file(make: Callable[..., Path], canvas: torch.Tensor) -> None:
    grey = canvas[..., :1]
    assert torch.allclose(opened(make(), grey)(grey), expected(grey.expand(-1, -1, -1, 3)), atol=1e-5)


def test_canvases_are_resized_to_a_fixed_side(make: Callable[..., Path]) -> None:
    canvas = torch.full((2, 20, 20, 3), 100, dtype=torch.uint8)
    assert torch.allclose(opened(make(), canvas)(canvas), expected(canvas), atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "kind", "words"),
    [
        (("n", 4, SIDE, SIDE), TensorProto.FLOAT, "1 or 3 channels"),
        (("n", 3, 8, 6), TensorProto.FLOAT, "square"),
        (("n", 3, SIDE, SIDE), TensorProto.INT64, "not images"),
        (("n", 1, SIDE, SIDE), TensorProto.FLOAT, "grey"),
    ],
)
def test_what_takes_no_such_images_is_refused(
    make: Callable[..., Path], canvas: torch.Tensor, shape: tuple[Any, ...], kind: int, words: str
) -> None:
    with pytest.raises(CheckpointError, match=words):
        opened(make(shape, kind), canvas)


def test_a_file_of_other_classes_is_refused(make: Callable[..., Path], canvas: torch.Tensor) -> None:
    class Three(Toys):
        classes = ("a", "b", "c")

    with pytest.raises(CheckpointError, match=r"gives 2 \(scores\) numbers for an image, there are 3 classes"):
        open_onnx(make(), Three(), canvas, Silent())
