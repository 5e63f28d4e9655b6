import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.compute.evaluate import judge
from edgekd.compute.float8 import Float8Conv2d, Float8Linear, float8_share, rounded, to_float8
from edgekd.compute.formats import Format, release
from edgekd.data.batch import Batch
from edgekd.images.imageset import Split
from edgekd.models.build import build
from edgekd.models.network import Network
from tests.models.conftest import Facts

KINDS = (torch.float8_e4m3fn, torch.float8_e5m2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_rounded_values_are_torchs_own_casts(kind: torch.dtype, size: float) -> None:
    values = torch.randn(1000) * size
    scale = values.abs().max() / torch.finfo(kind).max
    assert torch.equal(rounded(values, kind), (values / scale).to(kind).float() * scale)
    assert rounded(values, kind).abs().max() == pytest.approx(values.abs().max().item(), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_format_holds_stays_as_it_is(kind: torch.dtype) -> None:
    held = torch.arange(256, dtype=torch.uint8).view(kind).float()
    held = held[held.isfinite()]
    assert torch.equal(rounded(held, kind), held)


@pytest.mark.parametrize("kind", KINDS)
def test_zeros_and_no_numbers_stay_what_they_are(kind: torch.dtype) -> None:
    assert torch.equal(rounded(torch.zeros(3), kind), torch.zeros(3))
    assert rounded(torch.tensor([1.0, float("nan")]), kind)[1].isnan()
    assert to_float8(torch.zeros(0), kind)[0].shape == (0,)


def expected(layer: nn.Module, values: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the layer gives, and the gradients of values and weights: products of rounded factors in float32."""
    a = rounded(values, KINDS[0]).requires_grad_()
    w = rounded(layer.weight, KINDS[0]).requires_grad_()
    made = F.linear(a, w) if isinstance(layer, nn.Linear) else F.conv2d(a, w, None, layer.stride, layer.padding)
    made.backward(rounded(gradient, KINDS[1]))
    shape = (-1, 1, 1) if made.ndim == 4 else (-1,)
    return made + layer.bias.view(shape), a.grad, w.grad


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(nn.Linear(30, 10), (7, 30)), (nn.Linear(64, 32), (2, 5, 64)), (nn.Conv2d(3, 8, 3, 2, 1), (4, 3, 9, 9))],
)
def test_products_and_gradients_are_those_of_rounded_factors(layer: nn.Module, shape: tuple[int, ...]) -> None:
    values = torch.randn(shape).requires_grad_()
    gradient = torch.randn_like(layer(values))
    wanted = expected(layer, values, gradient)
    layer.zero_grad()
    layer.__class__ = {nn.Linear: Float8Linear, nn.Conv2d: Float8Conv2d}[type(layer)]
    made = layer(values)
    made.backward(gradient)
    for found, each in zip((made, values.grad, layer.weight.grad), wanted, strict=True):
        assert torch.allclose(found, each, rtol=1e-4, atol=1e-5 * each.abs().max().item())
    axes = [axis for axis in range(gradient.ndim) if axis != (1 if gradient.ndim == 4 else gradient.ndim - 1)]
    assert torch.allclose(layer.bias.grad, gradient.sum(axes), atol=1e-4)


def test_the_format_comes_and_goes(network: Network, batch: Batch) -> None:
    network.eval()
    types = [type(each) for each in network.modules()]
    weights = copy.deepcopy(network.state_dict())
    Format().prepare(network)
    plain = network(batch.canvas)
    Format("fp8").prepare(network)
    coarse = network(batch.canvas)
    assert {Float8Conv2d, Float8Linear} <= {type(each) for each in network.modules()}
    assert 1e-4 < (coarse - plain).abs().max() / plain.abs().max() < 0.2
    Format().prepare(network)
    assert torch.equal(network(batch.canvas), plain)
    Format("fp8").prepare(network)
    release(network)
    assert [type(each) for each in network.modules()] == types
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())


def test_what_is_delivered_is_judged_in_float32(network: Network, split: Split) -> None:
    expected = judge(network, split, 8).scores().loss
    Format("fp8").prepare(network)
    assert judge(network, split, 8).scores().loss == expected
    assert judge(network, split, 8, form=Format("fp8")).scores().loss != expected


def test_on_a_cpu_all_of_it_is_simulated(images: Facts) -> None:
    share = float8_share(build("tiny-cnn", images), torch.device("cpu"))
    assert (share.real, share.simulated) == (0.0, pytest.approx(1.0))
    assert "0.0% of multiply-adds in real fp8, 100.0% simulated" in str(share)


@pytest.mark.slow
def test_attentions_own_products_are_not_counted(images: Facts) -> None:
    share = float8_share(build("deit_tiny", images), torch.device("cpu"))
    assert 0.5 < share.simulated < 1
