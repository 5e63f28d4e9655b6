import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import distributed as dist
from torch import nn

from edgekd.compute.norms import SharedNorm, share_norms


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """A group of one, in which the statistics of all are one's own."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def learn(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    output = network(images)
    (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
    return output


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(4), BatchNormAct2d(4), nn.BatchNorm2d(4, momentum=None, affine=False)])
def test_one_process_computes_what_torch_does(group: None, norm: nn.Module) -> None:
    ours, theirs = nn.Sequential(copy.deepcopy(norm)), nn.Sequential(norm)
    assert share_norms(ours) == 1 and isinstance(ours[0], SharedNorm)
    images = torch.randn(6, 4, 5, 5) * 3 + 1
    mine, yours = images.clone().requires_grad_(), images.clone().requires_grad_()
    assert torch.allclose(learn(ours, mine), learn(theirs, yours), atol=1e-5)
    assert torch.allclose(mine.grad, yours.grad, atol=1e-4)
    for name, value in theirs.state_dict().items():
        assert torch.allclose(ours.state_dict()[name].float(), value.float(), atol=1e-5), name
    assert all(
        torch.allclose(a.grad, b.grad, atol=1e-3) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True)
    )
    assert torch.allclose(ours.eval()(images), theirs.eval()(images), atol=1e-5)


def test_parameters_stay_the_same_objects() -> None:
    network = nn.Sequential(nn.Sequential(nn.BatchNorm2d(2)), nn.BatchNorm2d(2))
    before = list(network.parameters())
    assert share_norms(network) == 2
    assert all(a is b for a, b in zip(before, network.parameters(), strict=True))
