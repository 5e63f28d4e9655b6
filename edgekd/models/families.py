"""The two papers' model families with their exact parameter counts.

P2: Lin & Shen, custom teacher-student models for resource-constrained environments.
P4: Park & Kotla, knowledge distillation plus precision for smaller vision models.
"""

from collections import OrderedDict
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

P2_DROPOUT = 0.1
"""P2 states no probability; a small one for its teachers."""
P2_STUDENT_DROPOUT = 0.0
"""None for its student: 11,444 parameters underfit (a choice; probabilities were not compared)."""

P4_DROPOUT = 0.5


def custom_student(classes: int, channels: int, input_size: int = 32) -> nn.Module:
    """P2's student: two 32-channel convolutions at full resolution (11,444 parameters, 10 classes)."""
    return _custom(0, classes, channels)


def custom_teacher(blocks: int, classes: int, channels: int, input_size: int = 32) -> nn.Module:
    """P2's teacher with `blocks` convolutions after the stem (6: 57,876 parameters, 10 classes)."""
    return _custom(blocks, classes, channels)


def _custom(blocks: int, classes: int, channels: int) -> nn.Module:
    dropout = P2_DROPOUT if blocks else P2_STUDENT_DROPOUT
    stages = [("stem", _p2_block(channels, dropout, biased=True))]
    if blocks:
        stages += [(f"block{number}", _p2_block(32, dropout, biased=False)) for number in range(1, blocks + 1)]
    else:
        stages.append(("block1", _p2_block(32, dropout, biased=True)))
    neck = nn.Sequential(nn.Linear(32, 30), nn.LeakyReLU(), nn.Dropout(dropout))
    stages += [("pool", _global_pool()), ("neck", neck), ("head", nn.Linear(30, classes))]
    return nn.Sequential(OrderedDict(stages))


def _p2_block(channels: int, dropout: float, *, biased: bool) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(channels, 32, 3, padding=1, bias=biased), nn.LeakyReLU(inplace=True)]
    if not biased:
        layers.append(nn.BatchNorm2d(32))
    # In place where nothing needs the values as they were: batch norm's output, not an activation's.
    return nn.Sequential(*layers, nn.Dropout(dropout, inplace=not biased))


def _global_pool() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


class ResidualBlock(nn.Module):
    """P4's block: two 3x3 convolutions with BN and a shortcut, 1x1 where the shape changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [n, inputs, h, w] to [n, outputs, h, w], or half of h and w when the width doubles."""
        return F.relu(self.body(maps) + self.shortcut(maps))


def rescnn(blocks: int, classes: int, channels: int, input_size: int = 150) -> nn.Module:
    """P4's residual CNN with `blocks` blocks, alternately same width and double width at half the side."""
    stem = nn.Sequential(nn.Conv2d(channels, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    stages: list[tuple[str, nn.Module]] = [("stem", stem)]
    width = 16
    for number in range(1, blocks + 1):
        wider = width if number % 2 else 2 * width
        stages.append((f"block{number}", ResidualBlock(width, wider)))
        width = wider
    hidden = (width, width // 2, width // 4) if blocks == 12 else (width, width // 2)
    neck = nn.Sequential(*(_p4_layer(inputs, outputs) for inputs, outputs in pairwise(hidden)))
    stages += [("pool", _global_pool()), ("neck", neck), ("head", nn.Linear(hidden[-1], classes))]
    return nn.Sequential(OrderedDict(stages))


def _p4_layer(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(P4_DROPOUT))
