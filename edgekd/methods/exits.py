"""Classifier branches on a student's maps: parameters of the method that uses them, not of the student."""

import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.methods.stages import Norm


def separable(channels: int, out_channels: int) -> nn.Sequential:
    """A depthwise 3x3 convolution with stride 2 and a pointwise one; maps of half the size."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, 2, 1, groups=channels, bias=False),
        nn.Conv2d(channels, out_channels, 1, bias=False),
        Norm(out_channels),
        nn.ReLU(),
    )


class Exit(nn.Module):
    """From a map [batch, channels, height, width] to logits [batch, classes] and features [batch, width]."""

    def __init__(self, channels: int, width: int, classes: int, halvings: int) -> None:
        """`halvings`: how many separable convolutions bring the map to the size of the last stage."""
        super().__init__()
        steps: list[nn.Module] = []
        for left in reversed(range(halvings)):
            out_channels = width if left == 0 else min(channels * 2, width)
            steps.append(separable(channels, out_channels))
            channels = out_channels
        if channels != width or not halvings:
            steps.append(nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), Norm(width), nn.ReLU()))
        self.body = nn.Sequential(*steps)
        self.classifier = nn.Linear(width, classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits in float32, and the features that the branch's classifier sees."""
        seen = F.adaptive_avg_pool2d(self.body(features), 1).flatten(1)
        return self.classifier(seen).float(), seen.float()


def halvings_to(size: tuple[int, int], last: tuple[int, int]) -> int:
    """How often maps of a size are halved until they are no larger than those of the last stage."""
    count = 0
    while size[0] > last[0] or size[1] > last[1]:
        size = ((size[0] + 1) // 2, (size[1] + 1) // 2)
        count += 1
    return count
