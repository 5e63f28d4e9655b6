"""Muon: orthogonal steps for hidden layers, plain SGD for the others."""

import pytest
import timm
import torch
from torch import nn

from edgekd.config import Fit
from edgekd.training.muon import PLAIN_RATE, Muon, is_matrix, orthogonal
from edgekd.training.update import LayerRate, make_optimizer


@pytest.mark.parametrize("shape", [(8, 30), (30, 8), (16, 16), (1, 5)])
def test_singular_values_come_near_one_and_directions_stay(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    found = orthogonal(matrix)
    assert found.shape == shape
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.5 and values.max() < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.T @ found @ right.T
    assert (turned - torch.diag(turned.diagonal())).abs().max() < 1e-3


def test_a_gradient_of_zero_moves_nothing() -> None:
    weight = nn.Parameter(torch.ones(3, 4))
    weight.grad = torch.zeros(3, 4)
    Muon([weight], lr=0.1).step()
    assert torch.equal(weight, torch.ones(3, 4))


@pytest.mark.parametrize(("rows", "columns"), [(16, 144), (64, 64)])
def test_a_step_is_as_long_as_one_of_adamw(rows: int, columns: int) -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.zeros(rows, columns // 9, 3, 3) if columns % 9 == 0 else torch.zeros(rows, columns))
    weight.grad = torch.randn_like(weight)
    Muon([weight], lr=0.1).step()
    assert weight.detach().square().mean().sqrt().item() == pytest.approx(0.2 * 0.1, rel=0.2)


def test_other_groups_step_as_sgd_does() -> None:
    torch.manual_seed(0)
    start = torch.randn(5, 4)
    own, other = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    muon = Muon([{"params": [own], "is_hidden": False}], lr=0.01)
    sgd = torch.optim.SGD([other], lr=0.01 * PLAIN_RATE, momentum=0.9, nesterov=True)
    for _ in range(4):
        own.grad = torch.randn(5, 4)
        other.grad = own.grad.clone()
        muon.step()
        sgd.step()
    torch.testing.assert_close(own, other)


def test_hidden_layers_are_told_from_ends_vectors_and_depthwise_filters() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 6, 1), nn.Linear(6, 2)
    )
    config = Fit(optimizer="muon", lr=0.02, weight_decay=0.3)
    optimizer = make_optimizer(config, [LayerRate(list(net.parameters()), 1.0)], [net])
    groups = {group["is_hidden"]: group for group in optimizer.param_groups}
    assert [each.shape for each in groups[True]["params"]] == [net[3].weight.shape]
    assert len(groups[False]["params"]) == len(list(net.parameters())) - 1
    assert (groups[True]["weight_decay"], groups[False]["weight_decay"]) == (0.3, 0.0)


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_a_transformers_embeddings_are_not_decayed_and_its_patches_are_its_first_layer(name: str) -> None:
    net = timm.create_model("deit_tiny_patch16_224", img_size=32, patch_size=8, depth=1, num_classes=3)
    optimizer = make_optimizer(
        Fit(optimizer=name, lr=0.02, weight_decay=0.3),  # type: ignore[arg-type]
        [LayerRate(list(net.parameters()), 1.0)],
        [net],
    )
    decayed = {id(each) for group in optimizer.param_groups if group["weight_decay"] for each in group["params"]}
    assert id(net.blocks[0].mlp.fc1.weight) in decayed
    assert not {id(net.cls_token), id(net.pos_embed), id(net.norm.weight)} & decayed
    assert (id(net.patch_embed.proj.weight) in decayed) == (id(net.head.weight) in decayed) == (name == "adamw")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((8, 3, 3, 3), True), ((8, 1, 3, 3), False), ((4, 5), True), ((1, 16, 8), False), ((7,), False)],
)
def test_what_is_a_matrix(shape: tuple[int, ...], expected: bool) -> None:
    assert is_matrix(torch.zeros(shape)) == expected
