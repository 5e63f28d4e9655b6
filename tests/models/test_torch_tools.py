"""What torch's own tools make of networks as `build` gives them: an exported program, folded batch norms."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgekd.models.build import build
from edgekd.models.names import OWN
from edgekd.models.network import Network
from edgekd.quantization.placement import fold_norms

CONVOLUTIONAL = (
    *("resnet18", "mobilenetv2_100", "mobilenetv3_small_100", "efficientnet_b0", "regnetx_002", "ghostnet_100"),
    *("mobilenetv4_conv_small", "mnasnet_100"),
)
PARAMETRIC = ("plain-w8-d4-k3", "inverted-w8-d4-e3-k5")
TIMM = (*CONVOLUTIONAL, "vit_tiny", "convnext_atto")
NOTHING_TO_FOLD = ("custom-", "vit", "convnext")
"""No batch norm of theirs comes right after a convolution."""
QUICK = ("tiny-cnn", "resnet8", "custom-student", "resnet18")


def marked(*names: str) -> list[Any]:
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


def trained(name: str, images: Any) -> tuple[Network, Tensor]:  # noqa: ANN401
    """A network for evaluation whose norms are not idle, and images for it."""
    torch.manual_seed(0)
    network = build(name, images)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    canvas = torch.randint(0, 256, (8, images.canvas, images.canvas, images.channels), dtype=torch.uint8)
    with torch.no_grad():
        for _ in range(3):
            network.train()(canvas)
    return network.eval(), canvas


def assert_alike(found: Tensor, logits: Tensor) -> None:
    assert (found - logits).abs().max() <= 1e-5 * logits.abs().max()


@pytest.mark.parametrize("name", marked(*OWN, *PARAMETRIC, *TIMM))
@torch.no_grad()
def test_an_exported_program_gives_the_same_logits(name: str, images: Any) -> None:  # noqa: ANN401
    network, canvas = trained(name, images)
    assert_alike(torch.export.export(network, (canvas,)).module()(canvas), network(canvas))


@pytest.mark.parametrize("name", marked(*OWN, *PARAMETRIC, *TIMM))
@torch.no_grad()
def test_folded_norms_give_the_same_logits(name: str, images: Any) -> None:  # noqa: ANN401
    network, canvas = trained(name, images)
    logits = network(canvas)
    folded = copy.deepcopy(network)
    before = sum(isinstance(each, nn.BatchNorm2d) for each in folded.modules())
    folded.backbone = fold_norms(folded.backbone)
    after = sum(isinstance(each, nn.BatchNorm2d) for each in folded.modules())
    assert after == before if name.startswith(NOTHING_TO_FOLD) else after < before
    assert_alike(folded(canvas), logits)
