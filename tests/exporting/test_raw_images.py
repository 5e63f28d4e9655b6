"""Raw images in: the graph crops, resizes and normalises as edgekd does."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from PIL import Image

from edgekd.errors import CheckFailed, UsageError
from edgekd.exporting.raw_images import describe_raw, embed, prove
from edgekd.images.canvas import reform
from edgekd.runtimes.preprocessing import prepare


def make_net(channels: int, side: int, opset: int = 18) -> ModelProto:
    """Flatten and one matrix: every pixel counts."""
    weights = np.random.default_rng(0).normal(size=(channels * side * side, 3)).astype(np.float32)
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", channels, side, side])
    found = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])
    nodes = [helper.make_node("Flatten", ["input"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["logits"])]
    graph = helper.make_graph(nodes, "net", [given], [found], [numpy_helper.from_array(weights, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def record(channels: int = 3, canvas: int = 32, side: int = 32) -> dict[str, Any]:
    mean, std = [0.5, 0.4, 0.3][:channels], [0.2, 0.25, 0.3][:channels]
    return {
        "classes": ["a", "b", "c"], "channels": channels, "canvas": canvas, "input_size": side, "mean": mean, "std": std
    }  # fmt: skip


def session_of(model: ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString())


def picture(width: int, height: int, channels: int = 3) -> np.ndarray:
    pixels = np.random.default_rng(1).integers(0, 256, (10, 10, 3), dtype=np.uint8)
    image = Image.fromarray(pixels if channels == 3 else pixels[..., 0]).resize((width, height), Image.BICUBIC)
    return np.asarray(image).reshape(height, width, channels)


@pytest.mark.parametrize(
    ("width", "height", "canvas", "side", "channels", "limit"),
    [
        (32, 32, 32, 32, 3, 1e-5),
        (150, 150, 32, 32, 3, 1e-2),
        (220, 180, 32, 32, 3, 1e-2),
        (220, 180, 32, 32, 1, 1e-2),
        (640, 480, 32, 32, 3, 5e-2),
        (150, 150, 40, 24, 3, 1e-2),
        (20, 20, 32, 32, 3, 1e-2),
    ],
)
def test_logits_as_from_the_canvas(
    width: int, height: int, canvas: int, side: int, channels: int, limit: float
) -> None:
    net, facts = make_net(channels, side), record(channels, canvas, side)
    raw = picture(width, height, channels)
    square = reform(raw.squeeze(), canvas, channels)[None]
    prepared = prepare(square, side, facts["mean"], facts["std"])
    expected = session_of(net).run(None, {"input": prepared})[0]
    probabilities, logits = session_of(embed(net, facts)).run(None, {"images": raw[None]})
    assert np.abs(logits - expected).max() / np.abs(expected).max() < limit
    assert probabilities.sum() == pytest.approx(1) and probabilities.argmax() == expected.argmax()


def test_grey_images_for_a_network_of_three_channels() -> None:
    net, facts = make_net(3, 32), record(3) | {"channels": 1}
    raw = picture(150, 150, 1)
    prepared = prepare(reform(raw.squeeze(), 32, 1)[None], 32, facts["mean"], facts["std"])
    expected = session_of(net).run(None, {"input": prepared})[0]
    found = session_of(embed(net, facts)).run(["logits"], {"images": raw[None]})[0]
    assert np.abs(found - expected).max() / np.abs(expected).max() < 1e-2


def test_several_images_at_once() -> None:
    found = session_of(embed(make_net(3, 32), record())).run(None, {"images": np.zeros((3, 50, 40, 3), np.uint8)})
    assert found[0].shape == (3, 3)


def test_swapped_channels_are_caught(tmp_path: Path) -> None:
    net, facts = make_net(3, 32), record()
    canvases = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)

    def answer(images: np.ndarray) -> np.ndarray:
        return session_of(net).run(None, {"input": prepare(images, 32, facts["mean"], facts["std"])})[0]

    onnx.save(embed(net, facts), tmp_path / "right.onnx")
    assert set(prove(tmp_path / "right.onnx", canvases, answer, 1e-3)) == {"canvas", "150x150", "640x480"}
    swapped = facts | {"mean": facts["mean"][::-1], "std": facts["std"][::-1]}
    onnx.save(embed(net, swapped), tmp_path / "wrong.onnx")
    with pytest.raises(CheckFailed, match="raw images"):
        prove(tmp_path / "wrong.onnx", canvases, answer, 1e-3)


def test_an_old_opset_is_refused() -> None:
    with pytest.raises(UsageError, match="opset 17"):
        embed(make_net(3, 32, 17), record())


def test_nothing_is_left_to_prepare() -> None:
    assert set(describe_raw(record())) == {"classes", "channels", "preprocessing"}
