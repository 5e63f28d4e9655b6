"""edgekd's own small nets: parameter counts, strides by input size, any number of classes."""

import pytest
import torch
from torch import nn

from edgekd.models.small import halvings, resnet8, resnet9, tiny_cnn


def count(net: nn.Module) -> int:
    return sum(each.numel() for each in net.parameters())


def test_resnet8_has_mlperf_tinys_parameters() -> None:
    assert count(resnet8(10, 3)) == 78_186


def test_tiny_cnn_stays_under_12_000_parameters() -> None:
    assert max(count(tiny_cnn(10, 3, size)) for size in (28, 32, 64, 150, 224)) < 12_000


@pytest.mark.parametrize(("size", "count"), [(28, 0), (32, 0), (64, 1), (96, 2), (150, 2), (224, 3)])
def test_halvings_bring_maps_to_about_32_pixels(size: int, count: int) -> None:
    assert halvings(size) == count


@pytest.mark.parametrize("make", [tiny_cnn, resnet9])
def test_the_input_size_changes_no_parameter(make: type) -> None:
    small, large = (make(10, 3, size).state_dict() for size in (32, 224))
    assert {name: each.shape for name, each in small.items()} == {name: each.shape for name, each in large.items()}


@pytest.mark.parametrize("make", [tiny_cnn, resnet8, resnet9])
@pytest.mark.parametrize(("classes", "channels", "size"), [(2, 1, 28), (10, 3, 32), (6, 3, 64), (100, 3, 224)])
def test_every_small_net_takes_any_image(make: type, classes: int, channels: int, size: int) -> None:
    net = make(classes, channels, size).eval()
    assert net(torch.zeros(2, channels, size, size)).shape == (2, classes)


@pytest.mark.parametrize("make", [tiny_cnn, resnet9])
def test_the_work_on_large_images_stays_near_that_on_small_ones(make: type) -> None:
    net = make(10, 3, 224).eval()
    sides: list[int] = []
    for each in net.modules():
        if isinstance(each, nn.Conv2d):
            each.register_forward_hook(lambda *call: sides.append(call[2].shape[-1]))
    net(torch.zeros(1, 3, 224, 224))
    assert sorted(sides)[len(sides) // 2] <= 32


@pytest.mark.parametrize("make", [tiny_cnn, resnet8])
def test_students_use_no_activation_but_relu(make: type) -> None:
    leaves = {type(each).__name__ for each in make(10, 3, 32).modules() if not list(each.children())}
    plain = {
        "Conv2d",
        "BatchNorm2d",
        "ReLU",
        "Linear",
        "Flatten",
        "AdaptiveAvgPool2d",
        "AdaptiveMaxPool2d",
        "MaxPool2d",
        "Sequential",
    }
    assert leaves <= plain


def test_resnet9_starts_by_handing_its_channels_on() -> None:
    net = resnet9(10, 3)
    convs = [each for each in net.modules() if isinstance(each, nn.Conv2d)][1:]
    assert len(convs) == 6
    for conv in convs:
        maps = torch.randn(2, conv.in_channels, 5, 5)
        assert torch.equal(conv(maps)[:, : conv.in_channels], maps)
        rest = conv.weight[conv.in_channels :]
        assert not len(rest) or rest.std() > 0.01
