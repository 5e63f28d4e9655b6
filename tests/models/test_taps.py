"""Taps are found in every kind of network, and what is read there is what the network computes."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from edgekd.errors import UsageError
from edgekd.methods.sides import side_of
from edgekd.models.build import build
from edgekd.models.network import Network, Spec
from edgekd.models.observer import Observer, Taps
from edgekd.models.taps import column_of, examine, need_of


def images(side: int) -> SimpleNamespace:
    return SimpleNamespace(classes=("a", "b", "c"), channels=3, canvas=side, mean=(0.5,) * 3, std=(0.25,) * 3)


def canvases(side: int, count: int = 3) -> Tensor:
    return torch.randint(0, 255, (count, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


STAGES = {
    "tiny-cnn": [(16, 32, 32), (24, 8, 8), (48, 8, 8)],
    "resnet8": [(16, 32, 32), (32, 16, 16), (64, 8, 8)],
    "resnet9": [(64, 15, 15), (192, 7, 7), (256, 3, 3)],
    "custom-student": [(32, 32, 32), (32, 32, 32)],
    "custom-teacher-4": [(32, 32, 32)] * 4,
    "rescnn-6": [(16, 32, 32), (32, 16, 16), (64, 8, 8), (128, 4, 4)],
    "resnet18": [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)],
    "mobilenetv3_small_050": [(8, 16, 16), (16, 8, 8), (24, 4, 4), (288, 2, 2)],
    "convnext_atto": [(40, 8, 8), (80, 4, 4), (160, 2, 2), (320, 1, 1)],
    "vit_tiny_patch16_224": [(192, 8, 8)] * 4,
    "swin_tiny_patch4_window7_224": [(96, 16, 16), (192, 8, 8), (384, 4, 4), (768, 2, 2)],
}


@pytest.mark.parametrize("name", STAGES)
def test_stages_have_the_shapes_told_and_leave_the_logits_alone(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, images(32)).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    side = side_of(network)
    assert [side.shapes[f"features:{stage}"] for stage in side.stages] == STAGES[name]
    observer = Observer(network, frozenset({"pooled", *(f"features:{stage}" for stage in side.stages)}))
    with torch.no_grad():
        output, logits = observer(canvases(32)), network(canvases(32))
    assert torch.equal(output.logits, logits) and output.pooled.shape == (3, *side.shapes["pooled"])
    assert [tuple(output.features[stage].shape[1:]) for stage in side.stages] == STAGES[name]
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def test_tokens_lie_on_their_grid() -> None:
    network = build("vit_tiny_patch16_224", images(32)).eval()
    seen: list[Tensor] = []
    network.backbone.blocks[2].register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        maps = Observer(network, frozenset({"features:stage1"}))(canvases(32)).features["stage1"]
    assert torch.equal(maps[:, :, 2, 5], seen[-1][:, 1 + 2 * 8 + 5])


def test_channels_of_swin_come_first() -> None:
    network = build("swin_tiny_patch4_window7_224", images(32)).eval()
    seen: list[Tensor] = []
    network.backbone.layers[1].register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        maps = Observer(network, frozenset({"features:stage2"}))(canvases(32)).features["stage2"]
    assert torch.equal(maps[:, :, 1, 6], seen[-1][:, 1, 6])


def test_a_distilled_transformer_has_two_heads() -> None:
    network = build("deit_tiny_distilled_patch16_224", images(32)).eval()
    side = side_of(network)
    assert {"heads:class", "heads:token"} <= side.gives and side.family == "vit" and "pooled" not in side.gives
    with torch.no_grad():
        output = Observer(network, frozenset({"heads:class", "heads:token"}))(canvases(32))
    assert torch.allclose((output.heads["class"] + output.heads["token"]) / 2, output.logits, atol=1e-6)


class Overwriting(nn.Module):
    """Changes in place what its first convolution gave."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 5, 3, 2, padding=1)
        self.head = nn.Linear(5, 2)

    def forward(self, image: Tensor) -> Tensor:
        maps = self.first(image)
        return self.head(self.second(maps.relu_()).mean((2, 3)))


def test_a_map_that_is_overwritten_later_is_kept_as_it_was() -> None:
    torch.manual_seed(0)
    network = Network(Overwriting(), Spec("own", ("a", "b"), 3, 8, (0.5,) * 3, (0.25,) * 3)).eval()
    with torch.no_grad():
        maps = Observer(network, frozenset({"features:first"}))(canvases(8)).features["first"]
        expected = network.backbone.first(network.prepare(canvases(8)))
    assert torch.equal(maps, expected) and (maps < 0).any()


def test_a_map_is_part_of_the_graph_of_a_student() -> None:
    network = build("tiny-cnn", images(32))
    output = Observer(network, frozenset({"features:stage1"}))(canvases(32))
    output.features["stage1"].square().mean().backward()
    assert network.backbone.stem[0].weight.grad is not None and network.backbone.head.weight.grad is None


def test_an_unknown_tap_gets_the_nearest_name() -> None:
    with pytest.raises(UsageError) as caught:
        Observer(build("tiny-cnn", images(32)), frozenset({"features:stge2"}))
    assert "stage2" in caught.value.hint


def test_the_mode_of_every_module_is_as_before() -> None:
    network = build("tiny-cnn", images(32)).train()
    network.backbone.block1.eval()
    examine(network)
    assert network.training and network.backbone.block2.training and not network.backbone.block1.training


def test_columns_are_named_after_taps() -> None:
    for need, column in (("pooled", "pooled"), ("features:stage3", "map:stage3"), ("heads:token", "head:token")):
        assert (need_of(column), column_of(need)) == (need, column)
    network = build("resnet8", images(32)).eval()
    with torch.no_grad():
        logits, columns = Taps(network, ("pooled", "map:stage3"))(canvases(32))
    assert torch.allclose(network.backbone.head(columns["pooled"]), logits, atol=1e-6)
    assert torch.allclose(columns["map:stage3"].mean((2, 3)), columns["pooled"], atol=1e-6)
    with pytest.raises(UsageError, match="no such kind"):
        need_of("maps:stage3")
