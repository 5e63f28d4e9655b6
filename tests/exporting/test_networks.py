"""fp32 files of every kind of network give the network's logits, read by ONNX Runtime alone."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from edgekd.config import TrainTeacher
from edgekd.data.loader import PLAIN, make_batch
from edgekd.data.sources import open_data
from edgekd.exporting.onnx import write_onnx
from edgekd.images.imageset import ImageData
from edgekd.models.build import build, head_of
from edgekd.models.network import Network
from edgekd.report import Silent

NAMES = ["custom-student", "tiny-cnn", "resnet8", "rescnn-4", "mobilenetv3_small", "resnet18"]
NAMES += ["deit_tiny", "swin_tiny", "convnext_atto", "mixer_s32_224"]


@pytest.fixture(scope="module")
def data() -> ImageData:
    return open_data(TrainTeacher(data="shapes", limit=130), Silent())


def randomise(network: Network) -> None:
    """Statistics of norms as a training leaves them, and logits larger than 1."""
    torch.manual_seed(0)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.2)
    head = head_of(network.backbone)
    nn.init.normal_(head.weight, 0, 3 / head.weight[0].numel() ** 0.5)
    nn.init.normal_(head.bias)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_logits_are_the_networks(name: str, data: ImageData, tmp_path: Path) -> None:
    network = build(name, data).eval()
    randomise(network)
    canvas = make_batch(data.train, np.arange(100), PLAIN).canvas
    with torch.inference_mode():
        inputs = network.prepare(canvas).contiguous()
        expected = network.backbone(inputs).numpy()
    largest = np.abs(expected).max()
    assert largest > 1
    assert np.ptp(expected, axis=0).max() > 0.01 * largest
    path = tmp_path / "model.onnx"
    write_onnx(network.backbone, inputs[:2], path, 18, {"classes": list(data.classes)})
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for count in (1, 7, 100):
        logits = session.run(None, {"input": inputs[:count].numpy()})[0]
        assert np.abs(logits - expected[:count]).max() < 1e-4 * largest
    assert json.loads(session.get_modelmeta().custom_metadata_map["edgekd"])["classes"] == list(data.classes)
