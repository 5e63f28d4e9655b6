"""Small nets for small images: MLPerf Tiny's resnet8, edgekd's default student and its fast teacher."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.models.whitening import Whitening


def halvings(input_size: int) -> int:
    """How often an image is halved on entry so that the first maps are about 32 pixels: 32 -> 0, 64 -> 1, 224 -> 3."""
    count = 0
    while input_size > 40:
        input_size, count = (input_size + 1) // 2, count + 1
    return count


Activation = Callable[[], nn.Module]
RELU: Activation = partial(nn.ReLU, inplace=True)


def conv_bn(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, activation: Activation = RELU
) -> nn.Sequential:
    """Convolution without bias, batch norm, activation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        activation(),
    )


def conv_stem(inputs: int, outputs: int, input_size: int) -> nn.Sequential:
    """A 3x3 convolution whose stride and pooling depend on the image side; its parameters do not."""
    count = halvings(input_size)
    pools = [nn.MaxPool2d(2) for _ in range(count - 1)]
    return nn.Sequential(*conv_bn(inputs, outputs, stride=2 if count else 1), *pools)


def global_pool() -> nn.Sequential:
    """Maps [n, c, h, w] to their means [n, c]."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Resnet8Block(nn.Module):
    """MLPerf Tiny's residual stack: biased convolutions, BN in the body only, a bare 1x1 shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential() if stride == 1 else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [n, inputs, h, w] to [n, outputs, h / stride, w / stride]."""
        return F.relu(self.body(maps) + self.shortcut(maps))


def resnet8(classes: int, channels: int, input_size: int = 32) -> nn.Module:
    """MLPerf Tiny's image classifier (10 classes: 78,186 trainable, 77,706 with BN folded)."""
    stem = nn.Sequential(nn.Conv2d(channels, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
    return nn.Sequential(
        OrderedDict(
            stem=stem,
            stack1=Resnet8Block(16, 16, 1),
            stack2=Resnet8Block(16, 32, 2),
            stack3=Resnet8Block(32, 64, 2),
            pool=global_pool(),
            head=nn.Linear(64, classes),
        )
    )


class InvertedBlock(nn.Module):
    """1x1 convolution to `hidden` channels, depthwise, 1x1 back (MobileNetV2's block, with ReLU)."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int = 1, kernel: int = 3) -> None:
        super().__init__()
        self.is_residual = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            *conv_bn(inputs, hidden, 1),
            *conv_bn(hidden, hidden, kernel, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [n, inputs, h, w] to [n, outputs, h / stride, w / stride]."""
        changed: Tensor = self.body(maps)
        return maps + changed if self.is_residual else changed


def tiny_cnn(classes: int, channels: int, input_size: int = 32) -> nn.Module:
    """edgekd's default student: 10,746 parameters at 10 classes (how it was chosen: docs/models.md)."""
    return nn.Sequential(
        OrderedDict(
            stem=conv_stem(channels, 16, input_size),
            shrink=nn.MaxPool2d(2),
            block1=InvertedBlock(16, 48, 24, stride=2),
            block2=InvertedBlock(24, 48, 24),
            block3=InvertedBlock(24, 48, 24),
            widen=conv_bn(24, 48, 1),
            pool=global_pool(),
            head=nn.Linear(48, classes),
        )
    )


def whitening_stem(inputs: int, input_size: int) -> nn.Sequential:
    """Whitened 2x2 patches, GELU; stride and pooling depend on the image side."""
    count = halvings(input_size)
    pools = [nn.MaxPool2d(2) for _ in range(count - 1)]
    return nn.Sequential(Whitening(inputs, stride=2 if count else 1), nn.GELU(), *pools)


def resnet9(classes: int, channels: int, input_size: int = 32) -> nn.Module:
    """edgekd's fast teacher: eight layers, widths for accuracy per second of CPU training (docs/models.md).

    After airbench's nets for CIFAR-10 (Jordan, 2024): a whitening stem, no shortcuts, a pool right after each stage's
    first convolution, GELU, and convolutions that start by handing their inputs on (outputs beyond them are random).
    """
    stem = whitening_stem(channels, input_size)
    layers: list[tuple[str, nn.Module]] = [("stem", stem)]
    for number, (inputs, outputs) in enumerate([(8 * channels, 64), (64, 192), (192, 256)], start=1):
        first, *rest = conv_bn(inputs, outputs, activation=nn.GELU)
        stage = nn.Sequential(first, nn.MaxPool2d(2), *rest, *conv_bn(outputs, outputs, activation=nn.GELU))
        for conv in stage:
            if isinstance(conv, nn.Conv2d):
                nn.init.dirac_(conv.weight.detach()[: conv.in_channels])
        layers.append((f"stage{number}", stage))
    layers.append(("pool", global_pool()))
    return nn.Sequential(OrderedDict([*layers, ("head", nn.Linear(256, classes))]))
