"""Networks built by name, rebuilt, given another head, and taken apart."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgekd.config import TrainTeacher
from edgekd.errors import UsageError
from edgekd.models.build import build, head_of, layer_groups, plan, pooled_features, rebuild, swap_head

NETS = [
    "tiny-cnn",
    "resnet9",
    "custom-student",
    "rescnn-4",
    "vit_tiny",
    "mobilenetv3_small",
    "resnet18",
    "convnext_atto",
]


def canvases(facts: Any, number: int = 2) -> torch.Tensor:  # noqa: ANN401
    return torch.randint(0, 256, (number, facts.canvas, facts.canvas, facts.channels), dtype=torch.uint8)


@pytest.mark.parametrize("name", NETS)
def test_every_kind_of_network_gives_logits_and_learns(name: str, images: Any) -> None:  # noqa: ANN401
    network = build(name, images)
    logits = network(canvases(images))
    assert logits.shape == (2, 10)
    logits.sum().backward()
    assert all(each.grad is not None for each in network.parameters() if each.requires_grad)


@pytest.mark.parametrize("name", NETS)
def test_grey_images_and_two_classes_work_everywhere(name: str, grey: Any) -> None:  # noqa: ANN401
    network = build(name, grey).eval()
    assert network(canvases(grey)).shape == (2, 2)


@pytest.mark.parametrize("name", NETS)
def test_a_rebuilt_network_takes_the_same_weights(name: str, images: Any) -> None:  # noqa: ANN401
    network = build(name, images).eval()
    again = rebuild(network.spec).eval()
    again.backbone.load_state_dict(network.backbone.state_dict())
    batch = canvases(images)
    assert torch.equal(again(batch), network(batch))


@pytest.mark.parametrize("name", NETS)
def test_layer_groups_hold_every_parameter_once_and_end_in_the_head(name: str, images: Any) -> None:  # noqa: ANN401
    backbone = build(name, images).backbone
    groups = layer_groups(backbone)
    assert sorted(id(each) for group in groups for each in group) == sorted(id(each) for each in backbone.parameters())
    assert {id(each) for each in groups[-1]} == {id(each) for each in head_of(backbone).parameters()}
    assert len(groups) >= 4


@pytest.mark.parametrize("name", NETS)
def test_pooled_features_times_the_head_are_the_logits(name: str, images: Any) -> None:  # noqa: ANN401
    network, batch = build(name, images).eval(), canvases(images)
    features = pooled_features(network, batch)
    assert features.ndim == 2
    torch.testing.assert_close(head_of(network.backbone)(features), network(batch))


@pytest.mark.parametrize("name", NETS)
def test_another_head_changes_the_classes_and_nothing_else(name: str, images: Any) -> None:  # noqa: ANN401
    network, batch = build(name, images).eval(), canvases(images)
    before = pooled_features(network, batch)
    swap_head(network, ("cat", "dog"))
    assert network(batch).shape == (2, 2)
    assert network.spec.classes == ("cat", "dog")
    assert torch.equal(pooled_features(network, batch), before)


def test_groups_run_from_the_input_to_the_head(images: Any) -> None:  # noqa: ANN401
    backbone = build("resnet18", images).backbone
    assert layer_groups(backbone)[0][0] is backbone.get_parameter("conv1.weight")


def test_the_users_own_network_has_groups_and_a_head(own_file: Path, images: Any) -> None:  # noqa: ANN401
    network = build(f"{own_file}:build", images, code=TrainTeacher(model=f"{own_file}:build"))
    assert [len(group) for group in layer_groups(network.backbone)] == [2, 2]
    swap_head(network, ("cat", "dog", "cow"))
    assert network(canvases(images)).shape == (2, 3)


def test_a_network_trained_from_scratch_takes_the_canvas_and_the_datas_normalisation(images: Any) -> None:  # noqa: ANN401
    spec = plan("vit_base", images)
    assert (spec.input_size, spec.mean, spec.options) == (32, images.mean, {"img_size": 32, "patch_size": 4})


def test_a_network_for_given_weights_keeps_its_own_size_and_normalisation(images: Any) -> None:  # noqa: ANN401
    spec = plan("vit_base", images, start="weights")
    assert (spec.input_size, spec.mean, spec.options) == (224, (0.5, 0.5, 0.5), {})


def test_an_input_size_no_network_takes_is_a_usage_error(images: Any) -> None:  # noqa: ANN401
    with pytest.raises(UsageError, match="--input-size 8"):
        plan("vgg11_bn", replace(images, canvas=8), input_size=8)


def test_own_nets_have_no_pretrained_weights(images: Any) -> None:  # noqa: ANN401
    with pytest.raises(UsageError, match="tiny-cnn"):
        build("tiny-cnn", images, start="pretrained")


def test_two_heads_are_refused_where_one_is_needed(images: Any) -> None:  # noqa: ANN401
    backbone = build("deit_tiny_distilled_patch16_224", images).backbone
    with pytest.raises(UsageError, match="no single linear classifier"):
        head_of(backbone)
    assert sum(len(group) for group in layer_groups(backbone)) == len(list(backbone.parameters()))


def test_a_network_without_a_linear_layer_has_no_head() -> None:
    with pytest.raises(UsageError, match="Sequential"):
        head_of(nn.Sequential(nn.Conv2d(3, 2, 1)))
