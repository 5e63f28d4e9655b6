"""A tail is what the network itself computes behind a map, and gradients pass through it."""

import pytest
import torch
from torch import Tensor, nn

from edgekd.models.network import Network
from edgekd.models.observer import Observer
from edgekd.models.tails import Tail, passes, tail_of
from edgekd.models.taps import examine
from tests.models.nets import NETS, built, canvases, made, network_of


def through(network: Network, tail: Tail) -> tuple[Tensor, Tensor]:
    """What the tail makes of the network's own map and prefix, and the network's own target."""
    needs = {f"features:{tail.entrance_name}", f"features:{tail.target_name}"}
    if tail.entrance.prefix:
        needs.add(f"prefix:{tail.entrance_name}")
    with torch.no_grad():
        said = Observer(network, frozenset(needs))(canvases())
        again = tail(said.features[tail.entrance_name], said.prefixes.get(tail.entrance_name))
    return again, said.features[tail.target_name]


@pytest.mark.parametrize("kind", NETS)
def test_the_tail_gives_the_last_map_from_the_one_before(kind: str) -> None:
    network = made(kind)
    known = set(vars(network.backbone))
    tail = tail_of(network, examine(network))
    assert tail is not None and set(vars(network.backbone)) == known
    again, target = through(network, tail)
    assert again.shape == target.shape == (2, *tail.target.shape)
    assert (again - target).abs().max() < 1e-6 and target.std() > 1e-3


@pytest.mark.parametrize("name", ["tiny-cnn", "resnet8", "resnet9", "custom-student", "custom-teacher-4", "rescnn-6"])
def test_edgekds_own_networks_have_tails(name: str) -> None:
    network = built(name)
    tail = tail_of(network, examine(network))
    assert tail is not None
    again, target = through(network, tail)
    assert torch.allclose(again, target, atol=1e-6)


def test_a_tail_is_as_long_as_asked_for() -> None:
    network = made("vit")
    tail = tail_of(network, examine(network))
    assert tail is not None and tail.entrance.module == "blocks.2"
    longer = tail.entering_at("blocks.0")
    assert longer is not None
    again, target = through(network, longer)
    assert (again - target).abs().max() < 1e-6
    assert len(list(longer.parameters())) == 3 * 12 + 2 and len(list(tail.parameters())) == 12 + 2
    assert tail.entering_at("head") is None and tail.entering_at("blocks.7") is None


def test_weights_are_shared_and_gradients_pass_through() -> None:
    network = made("swin")
    tail = tail_of(network, examine(network))
    assert tail is not None
    assert {id(each) for each in tail.parameters()} < {id(each) for each in network.parameters()}
    maps = torch.randn(2, *tail.entrance.shape, requires_grad=True)
    tail(maps).square().sum().backward()
    assert maps.grad is not None and maps.grad.abs().sum() > 0
    assert all(each.grad is None for each in network.parameters())
    assert not any(name.startswith("_source") for name in tail.state_dict())


def test_prefix_tokens_are_left_out_where_that_runs() -> None:
    plain, relative = made("vit"), made("beit")
    for network, runs in ((plain, True), (relative, False)):
        tail = tail_of(network, examine(network))
        assert tail is not None and passes(tail, with_prefix=True) and passes(tail, with_prefix=False) == runs


class Skipping(nn.Module):
    """Its last stage also takes the image."""

    def __init__(self) -> None:
        super().__init__()
        self.stage1, self.stage2 = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(7, 5, 3, 2, 1)
        self.head = nn.Linear(5, 3)

    def forward(self, image: Tensor) -> Tensor:
        maps = torch.cat([self.stage1(image), nn.functional.avg_pool2d(image, 2)], dim=1)
        return self.head(self.stage2(maps).mean((2, 3)))


class Deciding(Skipping):
    """Its path depends on values."""

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image) if image.sum() > 0 else super().forward(-image)


@pytest.mark.parametrize("kind", [Skipping, Deciding])
def test_a_network_whose_rest_cannot_be_taken_apart_has_no_tail(kind: type[nn.Module]) -> None:
    network = network_of(kind(), "own")
    anatomy = examine(network)
    assert len(anatomy.stages) == 2 and tail_of(network, anatomy) is None


def test_what_was_training_goes_on_training() -> None:
    network = built("tiny-cnn").train()
    network.backbone.block1.eval()
    assert tail_of(network, examine(network)) is not None
    assert network.training and network.backbone.block2.training and not network.backbone.block1.training
