"""Students of any size: what their names mean, that every one trains, and that a run keeps its network."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgekd.errors import UsageError
from edgekd.models.build import build, rebuild
from edgekd.models.catalogue import catalogue
from edgekd.models.names import own_net, resolve
from edgekd.models.network import Spec
from edgekd.models.parametric import PlainBlock
from edgekd.models.shape_names import Shape, shape_of

NAMES = ("plain-w4-d3-k5", "plain-w16-d5-k3", "inverted-w4-d3-e1-k3", "inverted-w12-d7-e4-k5")


def net(name: str, *sizes: int) -> nn.Module:
    found = own_net(name)
    assert found is not None
    return found.make(*sizes)


def count(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_its_shape(name: str) -> None:
    shape = shape_of(name)
    assert shape is not None
    assert shape.name == name == resolve(name)


def test_letters_mean_width_blocks_expansion_and_kernel() -> None:
    assert shape_of("inverted-w12-d7-e4-k5") == Shape("inverted", width=12, depth=7, kernel=5, expansion=4)
    backbone = net("inverted-w12-d7-e4-k5", 10, 3, 32)
    blocks = [block for stage in (backbone.stage1, backbone.stage2, backbone.stage3) for block in stage]
    assert len(blocks) == 7
    depthwise = [each for each in backbone.modules() if isinstance(each, nn.Conv2d) and each.groups > 1]
    assert {each.kernel_size for each in depthwise} == {(5, 5)}
    assert depthwise[0].in_channels == 4 * 12
    assert sum(isinstance(each, PlainBlock) for each in net("plain-w4-d5-k3", 10, 3, 32).modules()) == 5


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("plain-w16-d3", "plain-w16-d3-k3"),
        ("plain-w16-d3-e4-k3", "plain-w16-d3-k3"),
        ("inverted-w16-d3-k3", "inverted-w16-d3-e4-k3"),
        ("plain-w2-d3-k3", "width: from 4 to 512"),
        ("plain-w16-d2-k3", "from 3 to 48"),
        ("plain-w16-d3-k4", "an odd number from 3 to 7"),
        ("inverted-w16-d3-e9-k3", "expansion: from 1 to 8"),
    ],
)
def test_a_name_out_of_bounds_is_refused_with_what_is_meant(typed: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        resolve(typed)
    assert typed in error.value.problem
    assert told in error.value.hint


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("classes", "channels", "size"), [(2, 1, 28), (10, 3, 33), (6, 3, 150)])
def test_every_one_takes_any_image(name: str, classes: int, channels: int, size: int) -> None:
    assert net(name, classes, channels, size).eval()(torch.zeros(2, channels, size, size)).shape == (2, classes)


@pytest.mark.parametrize("name", NAMES)
def test_all_weights_learn(name: str, images: Any) -> None:  # noqa: ANN401
    torch.manual_seed(0)
    network = build(name, images)
    canvas = torch.randint(0, 256, (4, images.canvas, images.canvas, images.channels), dtype=torch.uint8)
    network.train()(canvas).square().sum().backward()
    assert all(each.grad is not None and each.grad.any() for each in network.backbone.parameters())


def test_wider_deeper_and_larger_kernels_cost_more() -> None:
    small = count(net("plain-w16-d3-k3", 10, 3, 32))
    larger = ("plain-w20-d3-k3", "plain-w16-d4-k3", "plain-w16-d3-k5")
    assert small < min(count(net(name, 10, 3, 32)) for name in larger)
    assert 70_000 < small < 80_000, "about resnet8's 78,186"


def test_a_manifest_builds_the_same_network(images: Any) -> None:  # noqa: ANN401
    network = build("inverted-w12-d7-e4-k5", images)
    again = rebuild(Spec.from_dict(network.spec.to_dict()))
    again.load_state_dict(network.state_dict())


def test_models_counts_one() -> None:
    [row] = catalogue("plain-w16-d3-k3")
    assert (row.name, row.source, row.input_size) == ("plain-w16-d3-k3", "edgekd", 32)
    assert row.parameters == count(net("plain-w16-d3-k3", 10, 3, 32))


@pytest.mark.slow
def test_the_chain_takes_one(cli: Any, tmp_path: Path, folder: Path, quick: Any) -> None:  # noqa: ANN401
    data = ("--data", folder)
    assert cli("train-teacher", "--model", "plain-w8-d3-k3", *data, *quick).code == 0
    made = cli("distill", "--student", "inverted-w4-d3-e2-k3", *data, *quick, "--views", 1, "--json")
    assert made.code == 0, made.err
    assert made.json["model"] == "inverted-w4-d3-e2-k3"
    exported = cli("export", "--json")
    assert exported.code == 0, exported.err
    assert exported.json["params"] == made.json["params"]
