"""Images as plain facts, for building networks without data."""

from dataclasses import dataclass
from pathlib import Path

import pytest

OWN_FILE = """
from torch import nn

def build(classes, channels, input_size):
    side = input_size - 2
    return nn.Sequential(nn.Conv2d(channels, 8, 3), nn.Flatten(), nn.Linear(8 * side**2, classes))

def only_classes(n):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, n))

def wrong_width(classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, classes + 1))

def not_a_module(classes):
    return 7

def raises(classes):
    return [][classes]
"""


@dataclass(frozen=True)
class Facts:
    """What `build` reads of an ImageData."""

    classes: tuple[str, ...] = tuple("abcdefghij")
    channels: int = 3
    canvas: int = 32
    mean: tuple[float, ...] = (0.5, 0.4, 0.3)
    std: tuple[float, ...] = (0.2, 0.25, 0.3)


@pytest.fixture
def images() -> Facts:
    """Ten classes of 32-pixel colour images."""
    return Facts()


@pytest.fixture
def grey() -> Facts:
    """Two classes of 28-pixel grey images."""
    return Facts(("no", "yes"), 1, 28, (0.5,), (0.25,))


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    """A user's file with one good network and several bad ones."""
    path = tmp_path / "net.py"
    path.write_text(OWN_FILE)
    return path
