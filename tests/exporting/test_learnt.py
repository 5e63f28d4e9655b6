"""The file answers as the network on the grid: the same tensors are rounded, by the same scales."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from edgekd.exporting.learnt import LearntGrid, unlearnt
from edgekd.models.families import custom_student
from edgekd.models.network import Network, Spec
from edgekd.models.small import resnet8, tiny_cnn
from edgekd.models.timm_nets import create
from edgekd.models.transforms import transform
from edgekd.quantization.fake import FakeConv2d, FakeLinear
from edgekd.quantization.fusions import count_fused
from edgekd.quantization.kernels import kernels_of
from edgekd.quantization.placement import fakes_of, without_fakes

NETS = {
    "resnet8": resnet8,
    "tiny-cnn": tiny_cnn,
    "custom-student": custom_student,
    "mobilenetv3": lambda classes, channels: create("mobilenetv3_small_050", classes, channels, {"stem_stride": 1}),
}


def faked(name: str, inputs: torch.Tensor) -> Network:
    torch.manual_seed(0)
    spec = Spec(name, tuple("abcdef"), 3, 32, (0.5,) * 3, (0.25,) * 3)
    network = Network(NETS[name](6, 3), spec)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.uniform_(0.3, 1)
    transform(network, {"name": "int8", "weight_limit": 127})
    plain = without_fakes(network.backbone)
    with torch.inference_mode():
        found = plain.module(inputs)
    tensors = dict.fromkeys(plain.on_input, inputs) | dict(zip(plain.names, found[1:], strict=True))
    for key, fake in fakes_of(network.backbone).items():
        low, high = float(tensors[key].min()), float(tensors[key].max())
        fake.calibrate(low, high, (min(low, 0), max(high, 0)))
    return network


def unfused(path: Path, inputs: torch.Tensor) -> np.ndarray:
    """What the file says by its graph; fused kernels saturate on 8-bit weights where the processor has no VNNI."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options).run(None, {"input": inputs.numpy()})[0]


@pytest.mark.parametrize(
    ("name", "arch"),
    [
        ("resnet8", "x86_64"),
        ("tiny-cnn", "aarch64"),
        ("custom-student", "x86_64"),
        pytest.param("mobilenetv3", "x86_64", marks=pytest.mark.slow),
    ],
)
def test_file_and_network_round_alike(name: str, arch: str, tmp_path: Path) -> None:
    inputs = torch.randn(100, 3, 32, 32)
    learnt = LearntGrid(faked(name, inputs), 18)
    made = learnt.quantise(inputs.numpy(), kernels_of(arch, arch, ["avx512_vnni", "asimddp"]))
    assert unlearnt(made) == []
    onnx.save(made.model, tmp_path / "q.onnx")
    found, expected = unfused(tmp_path / "q.onnx", inputs), learnt.answers(inputs.numpy())
    assert np.abs(found - expected).mean() / np.abs(expected).max() < 0.01
    if arch == "x86_64":
        fused = count_fused(tmp_path / "q.onnx")
        assert fused.in_int8 == fused.layers


def test_biases_are_rounded_as_in_the_file(tmp_path: Path) -> None:
    inputs = torch.randn(50, 3, 32, 32)
    network = faked("resnet8", inputs)
    learnt = LearntGrid(network, 18)
    onnx.save(learnt.quantise(inputs.numpy(), kernels_of("", "x86_64", ["avx512_vnni"])).model, tmp_path / "q.onnx")
    found = unfused(tmp_path / "q.onnx", inputs)

    def distance() -> float:
        answers = learnt.answers(inputs.numpy())
        return float(np.abs(found - answers).mean() / np.abs(answers).max())

    rounded = distance()
    for layer in network.modules():
        if isinstance(layer, FakeConv2d | FakeLinear):
            assert layer.given
            layer.given = ()
    assert rounded < 2e-4
    assert distance() > 5 * rounded


def test_a_spec_with_transforms_survives_json() -> None:
    network = faked("tiny-cnn", torch.randn(4, 3, 32, 32))
    values = network.spec.to_dict()
    assert values["transforms"] == [{"name": "int8", "weight_limit": 127}]
    assert Spec.from_dict(values) == network.spec
    plain = Spec("tiny-cnn", ("a",), 3, 32, (0.5,), (0.2,))
    assert "transforms" not in plain.to_dict() and Spec.from_dict(plain.to_dict()) == plain
