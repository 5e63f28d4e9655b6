"""timm's networks at small sizes, and what happens without a network."""

import time

import pytest
import torch
from huggingface_hub import constants as hub
from timm.models.resnet import ResNet
from torch import nn

from edgekd.errors import MissingDependency
from edgekd.models.timm_nets import create, create_pretrained, fit_size, normalisation, own_size


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("vit_tiny_patch16_224", 32, {"img_size": 32, "patch_size": 4}),
        ("vit_tiny_patch16_224", 64, {"img_size": 64, "patch_size": 8}),
        ("vit_tiny_patch16_224", 224, {}),
        ("swin_tiny_patch4_window7_224", 32, {"img_size": 32, "patch_size": 2, "window_size": 4}),
        ("resnet50", 32, {"stem_stride": 1}),
        ("resnet50", 64, {"stem_stride": 2}),
        ("resnet50", 150, {}),
        ("mobilenetv2_100", 32, {"stem_stride": 1}),
        ("convnext_atto", 32, {"patch_size": 2}),
        ("vgg16", 32, {}),
        ("mixer_s16_224", 32, {"img_size": 32}),
    ],
)
def test_small_images_get_a_fitting_network(name: str, size: int, options: dict[str, int]) -> None:
    assert fit_size(name, size, own_stem=False) == (size, options)


def test_given_weights_keep_patch_and_stem() -> None:
    assert fit_size("vit_tiny_patch16_224", 64, own_stem=True) == (64, {"img_size": 64})
    assert fit_size("resnet50", 32, own_stem=True) == (32, {})


def test_a_network_that_cannot_shrink_keeps_its_own_size() -> None:
    assert fit_size("levit_128s", 20, own_stem=True) == (224, {})


def test_a_small_resnet_keeps_its_maps_large() -> None:
    net = create("resnet18", 10, 3, {"stem_stride": 1})
    assert isinstance(net, ResNet)
    assert net.forward_features(torch.zeros(1, 3, 32, 32)).shape == (1, 512, 4, 4)
    assert isinstance(net.maxpool, nn.Identity)


def test_a_mobilenets_stem_keeps_the_side() -> None:
    net = create("mobilenetv3_small_100", 10, 3, {"stem_stride": 1})
    assert net.get_submodule("conv_stem")(torch.zeros(1, 3, 32, 32)).shape[-1] == 32


def test_own_facts_are_timms() -> None:
    assert own_size("vit_base_patch16_224") == 224
    assert normalisation("vit_base_patch16_224", 3) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert normalisation("resnet18", 1)[0] == pytest.approx((0.449,))


def test_without_a_network_pretrained_weights_fail_fast_with_both_ways_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr(hub, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    begun = time.monotonic()
    with pytest.raises(MissingDependency) as error:
        create_pretrained("resnet18", 10, 3, {})
    assert "train-teacher --model resnet18" in error.value.hint
    assert "--teacher-weights" in error.value.hint
    assert time.monotonic() - begun < 20
