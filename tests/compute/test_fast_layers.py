"""Faster layers do what PyTorch's do: dropout by statistics, convolutions to rounding."""

import copy
from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

from edgekd.compute.fast_layers import (
    DepthwiseConv2d,
    Dropout,
    GlobalPool,
    PointwiseConv2d,
    _hashed,
    keep_mask,
    with_fast_layers,
)
from edgekd.compute.formats import Format, release
from edgekd.exporting.onnx import write_onnx
from edgekd.models.build import build
from tests.models.conftest import Facts


def maps(layout: torch.memory_format = torch.channels_last) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(20, 8, 32, 32).abs().add(1).to(memory_format=layout)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.001, 0.998])
def test_each_value_is_dropped_with_probability_p(p: float) -> None:
    torch.manual_seed(0)
    masks = torch.stack([keep_mask(torch.empty(4_096), p) for _ in range(1_500)]).double()
    drawn = 1 - masks.mean().item()
    # 5 standard deviations: the rounding of p to a byte is drawn once per mask
    assert abs(drawn - p) < 5 * ((p * (1 - p) / masks.numel()) ** 0.5 + 0.5 / 256 / 1_500**0.5)
    by_value = 1 - masks.mean(0)
    assert (by_value - p).abs().max() < 6 * (p * (1 - p) / 1_500) ** 0.5 + 1e-3


def test_values_are_dropped_independently() -> None:
    torch.manual_seed(0)
    dropped = 1 - torch.stack([keep_mask(torch.empty(512), 0.3) for _ in range(4_000)]).float()
    together = torch.corrcoef(dropped.T)
    together.fill_diagonal_(0)
    assert together.abs().max() < 6 / 4_000**0.5
    between_calls = torch.corrcoef(torch.stack([dropped[:-1].flatten(), dropped[1:].flatten()]))[0, 1]
    assert abs(between_calls) < 6 / (512 * 4_000) ** 0.5


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_kept_values_and_their_gradients_are_scaled_and_others_are_zero(
    inplace: bool, layout: torch.memory_format
) -> None:
    given = maps(layout).requires_grad_()
    out = Dropout(0.25, inplace).train()(given * 1)
    out.sum().backward()
    kept = out != 0
    assert 0.7 < kept.float().mean() < 0.8
    assert torch.equal(out[kept], given[kept] * (1 / 0.75))
    assert given.grad is not None
    assert torch.equal(given.grad, kept.float() * (1 / 0.75))
    assert out.is_contiguous(memory_format=layout)


def test_in_place_changes_the_values_given_and_not_otherwise() -> None:
    given = maps()
    before = given.clone()
    assert Dropout(0.5).train()(given).data_ptr() != given.data_ptr()
    assert torch.equal(given, before)
    assert Dropout(0.5, inplace=True).train()(given).data_ptr() == given.data_ptr()


def test_a_seed_fixes_what_is_dropped() -> None:
    def drop(seed: int) -> Tensor:
        given = maps()
        torch.manual_seed(seed)
        return Dropout(0.5).train()(given)

    assert torch.equal(drop(3), drop(3))
    assert not torch.equal(drop(3), drop(4))


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_the_ends_are_exact(p: float) -> None:
    assert torch.equal(Dropout(p).train()(maps()), maps() * (1 - p))


def test_evaluation_leaves_values_alone() -> None:
    given = maps()
    assert Dropout(0.5).eval()(given) is given


@pytest.mark.parametrize("given", [torch.ones(6, 10)[:, ::2], torch.ones(3), torch.ones(4, 6).t(), torch.ones(0, 3)])
def test_any_strides_and_sizes(given: Tensor) -> None:
    out = Dropout(0.5).train()(given)
    assert out.shape == given.shape
    assert set(out.flatten().tolist()) <= {0.0, 2.0}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_every_number_format_stays_and_is_scaled_in_itself(dtype: torch.dtype) -> None:
    given = maps().to(dtype).requires_grad_()
    out = Dropout(0.3).train()(given)
    out.sum().backward()
    scale = torch.tensor(1 / 0.7, dtype=dtype)
    assert out.dtype == dtype
    assert set(given.grad.unique().tolist()) == {0.0, scale.item()}
    assert torch.equal(out, given * given.grad)


def test_the_words_of_a_mask_are_spread_evenly() -> None:
    words = _hashed(2**16, 3, -5)
    assert len(words.unique()) == len(words)
    for other in (_hashed(2**16, 4, -5), _hashed(2**16, 3, -7), words.roll(1)):
        bits = torch.stack([((words ^ other) >> place) & 1 for place in range(32)]).float()
        # half of the bits differ; 6 standard deviations for each of the 32
        assert (bits.mean(1) - 0.5).abs().max() < 6 * 0.5 / 2**8


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_mean_over_a_map_and_its_gradient_are_those_of_pytorch(layout: torch.memory_format) -> None:
    pool = nn.AdaptiveAvgPool2d(1)
    fast = with_fast_layers(copy.deepcopy(pool))
    assert type(fast) is GlobalPool
    given = [maps(layout).double().requires_grad_() for _ in range(2)]
    for layer, each in zip((pool, fast), given, strict=True):
        (layer(each).flatten(1) * torch.arange(8)).sum().backward()
    torch.testing.assert_close(given[1].grad, given[0].grad)
    torch.testing.assert_close(fast(given[1]), pool(given[0]))
    assert torch.equal(fast.eval()(given[1]), pool(given[0]))


def test_gradients_agree_with_nn_dropout_over_many_draws() -> None:
    layer = nn.Linear(16, 1, bias=False)
    given = torch.ones(20_000, 16)
    for drop in (nn.Dropout(0.3), Dropout(0.3)):
        layer.zero_grad()
        torch.manual_seed(0)
        layer(drop.train()(given)).mean().backward()
        assert layer.weight.grad is not None
        assert (layer.weight.grad - 1).abs().max() < 0.03


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size"),
    [
        (5, 1, 2, (4, 4)),
        (5, 2, 2, (4, 4)),
        (3, 1, 1, (2, 2)),
        (5, 1, 2, (1, 1)),
        (7, 2, 3, (5, 6)),
        ((1, 5), 1, (0, 2), (3, 4)),
    ]
    + [(5, 3, 2, (2, 3)), (3, 2, 1, (1, 2)), (7, 3, 4, (2, 2))],
)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_gradients_on_small_maps_are_those_of_pytorch(
    kernel: int, stride: int, padding: int, size: tuple[int, int], bias: bool, layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 6, kernel, stride, padding, groups=6, bias=bias).double()
    fast = with_fast_layers(copy.deepcopy(conv))
    assert type(fast) is DepthwiseConv2d
    given = [torch.randn(4, 6, *size).double().to(memory_format=layout) for _ in range(2)]
    outs = []
    for layer, maps_in in ((conv, given[0]), (fast, given[0].clone())):
        maps_in.requires_grad_()
        out = layer(maps_in)
        (out * torch.arange(out.numel()).view_as(out)).sum().backward()
        outs.append([out, maps_in.grad, *(each.grad for each in layer.parameters())])
    for expected, found in zip(*outs, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-9)


def test_frozen_weights_on_small_maps_get_no_gradient_and_pass_it_on() -> None:
    fast = with_fast_layers(nn.Conv2d(4, 4, 5, padding=2, groups=4)).requires_grad_(False)
    given = torch.randn(2, 4, 3, 3, requires_grad=True)
    fast(given).sum().backward()
    assert given.grad is not None
    assert fast.weight.grad is None


def test_depthwise_convolutions_stay_in_fp32_under_autocast() -> None:
    fast = with_fast_layers(nn.Conv2d(4, 4, 3, padding=1, groups=4))
    given = torch.randn(2, 4, 6, 6, requires_grad=True)
    expected = fast(given)
    with torch.autocast("cpu", torch.bfloat16):
        out = fast(given)
        assert fast(given.bfloat16()).dtype == torch.float32
    assert torch.equal(out, expected)
    out.sum().backward()
    assert given.grad is not None and fast.weight.grad is not None


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (4, 4), (3, 2), (5, 4)])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_pointwise_convolutions_and_their_gradients_are_those_of_pytorch(
    size: tuple[int, int], bias: bool, layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 10, 1, bias=bias).double().to(memory_format=layout)
    fast = with_fast_layers(copy.deepcopy(conv))
    assert type(fast) is PointwiseConv2d
    given = torch.randn(4, 6, *size).double().to(memory_format=layout)
    outs = []
    for layer in (conv, fast):
        maps_in = given.clone().requires_grad_()
        out = layer(maps_in)
        (out * torch.arange(out.numel()).view_as(out)).sum().backward()
        outs.append([out, maps_in.grad, *(each.grad for each in layer.parameters())])
    for expected, found in zip(*outs, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-9)
    assert outs[1][0].is_contiguous(memory_format=layout)


def calls_of(layer: nn.Module, given: Tensor) -> set[str]:
    with torch.profiler.profile() as seen:
        layer(given)
    return {each.key for each in seen.key_averages()} & {"aten::conv2d", "aten::linear"}


def test_pointwise_convolutions_are_products_on_small_maps_only() -> None:
    fast = with_fast_layers(nn.Conv2d(4, 6, 1))

    def seen(side: int, layout: torch.memory_format = torch.channels_last) -> set[str]:
        return calls_of(fast, torch.randn(2, 4, side, side).to(memory_format=layout))

    assert seen(4) == seen(1, torch.contiguous_format) == {"aten::linear"}
    assert seen(5) == seen(2, torch.contiguous_format) == {"aten::conv2d"}
    with torch.autocast("cpu", torch.bfloat16):
        assert seen(4) == {"aten::conv2d"}


def test_a_gradients_own_gradient_passes_through_dropout() -> None:
    given = torch.ones(50, requires_grad=True)
    out = Dropout(0.5).train()(given**2)
    (gradient,) = torch.autograd.grad(out.sum(), given, create_graph=True)
    gradient.sum().backward()
    assert torch.equal(given.grad, 2 * out.detach())


@pytest.mark.parametrize("layer", [nn.Conv2d(4, 6, 1), nn.Conv2d(4, 4, 5, padding=2, groups=4)])
def test_convolutions_take_what_pytorchs_take(layer: nn.Conv2d) -> None:
    fast = with_fast_layers(copy.deepcopy(layer))
    for shape in ((0, 4, 2, 2), (4, 2, 2)):
        assert fast(torch.ones(shape)).shape == layer(torch.ones(shape)).shape
    halves = copy.deepcopy(fast).bfloat16()
    given = torch.ones(2, 4, 2, 2, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert halves(given).dtype == torch.bfloat16
    assert halves(given).dtype == torch.bfloat16


def test_convolutions_are_exported_as_such(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 5, padding=2, groups=8), nn.Flatten(), nn.Linear(128, 4))
    write_onnx(with_fast_layers(net), torch.randn(2, 3, 4, 4), tmp_path / "net.onnx", 18, {})
    kinds = [node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node]
    assert (kinds.count("Conv"), kinds.count("Gemm")) == (2, 1)


def test_layers_with_a_faster_twin_are_replaced_and_no_others() -> None:
    net = nn.Sequential(
        nn.Dropout(0.2),
        nn.Sequential(nn.Dropout(0.3, inplace=True)),
        nn.Dropout2d(0.5),
        nn.Conv2d(4, 4, 3, groups=4),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 8, 3, groups=4),
        nn.Conv2d(4, 4, 3, groups=4, dilation=2),
        nn.Conv2d(4, 4, 3, groups=4, padding="same"),
        nn.Conv2d(4, 8, 1),
        nn.Conv2d(4, 8, 1, stride=2),
        nn.Conv2d(4, 8, 1, padding=1),
        nn.Conv2d(4, 8, 1, groups=2),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.AdaptiveAvgPool2d(2),
    )
    found = [type(each) for each in with_fast_layers(net).modules() if not isinstance(each, nn.Sequential)]
    convs = [DepthwiseConv2d, *[nn.Conv2d] * 4, PointwiseConv2d, *[nn.Conv2d] * 3]
    assert found == [Dropout, Dropout, nn.Dropout2d, *convs, GlobalPool, nn.AdaptiveAvgPool2d]


@pytest.mark.parametrize("name", ["mobilenetv3_small_100", "custom-student"])
def test_a_format_takes_them_and_gives_the_plain_ones_back(name: str, images: Facts) -> None:
    network = build(name, images)
    built = [type(each) for each in network.modules()]
    Format().prepare(network)
    fast = DepthwiseConv2d if name.startswith("mobile") else Dropout
    assert fast in {type(each) for each in network.modules()} and fast not in built
    release(network)
    assert [type(each) for each in network.modules()] == built
