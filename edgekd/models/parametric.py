"""Students of any size: two families whose width, depth, expansion and kernel stand in the model's name.

`plain-w16-d3-k3`: residual blocks of two convolutions; `inverted-w16-d3-e4-k3`: MobileNetV2's inverted bottlenecks.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.models.shape_names import STAGES, Shape
from edgekd.models.small import InvertedBlock, conv_bn, conv_stem, global_pool


def maker_of(shape: Shape) -> Callable[[int, int, int], nn.Module]:
    """The function that builds it: (classes, channels, input size) to a network."""
    return partial({"plain": _plain, "inverted": _inverted}[shape.family], shape)


class PlainBlock(nn.Module):
    """Two convolutions with batch norm and a shortcut: where the shape changes, mean pooling and a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_bn(inputs, outputs, kernel, stride),
            nn.Conv2d(outputs, outputs, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential()
        if inputs != outputs:
            pool = [nn.AvgPool2d(stride, ceil_mode=True)] if stride > 1 else []
            self.shortcut = nn.Sequential(*pool, nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [n, inputs, h, w] to [n, outputs, h / stride, w / stride]."""
        return F.relu(self.body(maps) + self.shortcut(maps))


def _plain(shape: Shape, classes: int, channels: int, input_size: int) -> nn.Module:
    """Widths w, 2w, 4w at a side of about 32, 16, 8 pixels (w16-d3-k3: about resnet8)."""
    widths, strides = [shape.width, 2 * shape.width, 4 * shape.width], [1, 2, 2]

    def block(inputs: int, outputs: int, stride: int) -> nn.Module:
        return PlainBlock(inputs, outputs, shape.kernel, stride)

    return _network(shape, _stages(shape, widths, strides, block), widths[-1], (classes, channels, input_size))


def _inverted(shape: Shape, classes: int, channels: int, input_size: int) -> nn.Module:
    """Widths w, 2w, 3w at a side of about 16, 8, 8 pixels; a block has `expansion` times its inputs inside."""
    widths, strides = [shape.width, 2 * shape.width, 3 * shape.width], [2, 2, 1]

    def block(inputs: int, outputs: int, stride: int) -> nn.Module:
        return InvertedBlock(inputs, shape.expansion * inputs, outputs, stride, shape.kernel)

    return _network(shape, _stages(shape, widths, strides, block), widths[-1], (classes, channels, input_size))


def _stages(
    shape: Shape, widths: Sequence[int], strides: Sequence[int], block: Callable[[int, int, int], nn.Module]
) -> list[tuple[str, nn.Module]]:
    found: list[tuple[str, nn.Module]] = []
    before = shape.width
    for number, (width, stride) in enumerate(zip(widths, strides, strict=True)):
        count = (shape.depth + number) // STAGES
        first = block(before, width, stride)
        found.append((f"stage{number + 1}", nn.Sequential(first, *(block(width, width, 1) for _ in range(count - 1)))))
        before = width
    return found


def _network(
    shape: Shape, stages: Sequence[tuple[str, nn.Module]], features: int, sizes: tuple[int, int, int]
) -> nn.Module:
    classes, channels, input_size = sizes
    stem = conv_stem(channels, shape.width, input_size)
    ends = [("pool", global_pool()), ("head", nn.Linear(features, classes))]
    return nn.Sequential(OrderedDict([("stem", stem), *stages, *ends]))
