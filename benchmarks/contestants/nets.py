"""The networks of the comparison with other tools: He et al. (2016) section 4.2 for CIFAR, and a small ViT.

Every tool builds them from this file; edgekd takes it as its user's own file, `nets.py:resnet20`.
"""

import timm
import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, 1x1 where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, maps: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(maps)))
        return F.relu(self.bn2(self.conv2(inner)) + self.shortcut(maps))


class CifarResnet(nn.Module):
    """Three stages of `blocks` blocks, 16, 32 and 64 channels wide."""

    def __init__(self, blocks: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        widths = [(16, 16, 1), (16, 32, 2), (32, 64, 2)]
        stages = [
            Block(inputs if each == 0 else outputs, outputs, stride if each == 0 else 1)
            for inputs, outputs, stride in widths
            for each in range(blocks)
        ]
        self.body = nn.Sequential(*stages)
        self.head = nn.Linear(64, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(self.stem(images)).mean((2, 3)))


def resnet20(classes: int) -> nn.Module:
    """The student."""
    return CifarResnet(3, classes)


def resnet56(classes: int) -> nn.Module:
    """The usual teacher."""
    return CifarResnet(9, classes)


def vit_tiny(classes: int) -> nn.Module:
    """A teacher that is dear: ViT-Ti in patches of 4 at 32 pixels, 64 of them."""
    return timm.create_model("vit_tiny_patch16_224", num_classes=classes, img_size=32, patch_size=4)
