"""The wide CIFAR ResNets of the distillation literature: resnet8x4 and resnet32x4.

He et al. (2016), section 4.2, with the widths of Tian, Krishnan, Isola (2020, arXiv 1910.10699): 32, then 64, 128, 256.
"""

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.models.small import conv_bn, conv_stem, global_pool

STEM = 32
WIDTHS = (64, 128, 256)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with BN and a shortcut, 1x1 with BN where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_bn(inputs, outputs, stride=stride),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [n, inputs, h, w] to [n, outputs, h / stride, w / stride]."""
        return F.relu(self.body(maps) + self.shortcut(maps))


def wide_resnet(depth: int, classes: int, channels: int, input_size: int = 32) -> nn.Module:
    """The ResNet of 6n + 2 layers at four times the usual width (100 classes: 8 has 1,233,540, 32 has 7,433,860)."""
    blocks = (depth - 2) // 6
    layers: list[tuple[str, nn.Module]] = [("stem", conv_stem(channels, STEM, input_size))]
    inputs = STEM
    for number, width in enumerate(WIDTHS, start=1):
        stage = [BasicBlock(inputs, width, 2 if number > 1 else 1)]
        stage += [BasicBlock(width, width, 1) for _ in range(blocks - 1)]
        layers.append((f"stage{number}", nn.Sequential(*stage)))
        inputs = width
    return nn.Sequential(OrderedDict([*layers, ("pool", global_pool()), ("head", nn.Linear(inputs, classes))]))
