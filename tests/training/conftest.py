"""A tiny network and data, without files."""

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.data.batch import Batch
from edgekd.images.imageset import Split
from edgekd.models.network import Network, Spec


class Pictures:
    """Two classes of noise, dark and bright."""

    def __init__(self, targets: np.ndarray) -> None:
        noise = np.random.default_rng(0).integers(0, 120, (len(targets), 8, 8, 3))
        self.canvases = (noise + 100 * (targets[:, None, None, None] == 1)).astype(np.uint8)
        self.shape = self.canvases.shape

    def gather(self, rows: np.ndarray) -> np.ndarray:
        return self.canvases[rows]


def make_split(count: int = 24) -> Split:
    targets = np.arange(count, dtype=np.int64) % 2
    return Split(Pictures(targets), np.arange(count, dtype=np.int64), targets)


def make_network(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    backbone = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(4, 2),
    )
    return Network(backbone, Spec("toy", ("dark", "bright"), 3, 8, (0.4,) * 3, (0.2,) * 3))


@pytest.fixture
def split() -> Split:
    return make_split()


@pytest.fixture
def network() -> Network:
    return make_network()


@pytest.fixture
def batch(split: Split) -> Batch:
    return Batch(torch.from_numpy(split.pixels.gather(split.index)), torch.from_numpy(split.targets), split.index, 0)
