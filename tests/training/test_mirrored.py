"""Which validation images change their class when mirrored."""

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from edgekd.compute.formats import Format
from edgekd.images.imageset import Split
from edgekd.images.pixels import Array
from edgekd.models.network import Network
from edgekd.training.mirrored import Turned, find_turned

FORM = Format("fp32", "channels-last")


class Sides(nn.Module):
    """Class 0 where the left half is brighter, 1 where the right one is, 2 where neither is; `scale` is how sure."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))
        self.register_buffer("offset", torch.zeros(1))

    def forward(self, canvas: Tensor) -> Tensor:
        values = canvas.float().mean((1, 3)) / 255
        half = values.shape[1] // 2
        left, right = values[:, :half].mean(1), values[:, half:].mean(1)
        return torch.stack([left - right, right - left, torch.full_like(left, 0.2)], 1) * self.scale


def split() -> Split:
    pixels = np.zeros((12, 8, 8, 3), np.uint8)
    pixels[:4, :, :4], pixels[4:8, :, 4:], pixels[8:] = 250, 250, 100
    return Split(Array(pixels), np.arange(12), np.repeat(np.arange(3), 4))


def turned(scale: float, images: Split) -> list[Turned]:
    return find_turned(cast(Network, Sides(scale)), images, 5, FORM)


def test_sides_change_and_the_even_one_does_not() -> None:
    found: Any = sorted(turned(10.0, split()), key=lambda each: each.before)
    assert found == [Turned(0, 1, 4, 4), Turned(1, 0, 4, 4)]


def test_a_network_that_is_not_sure_tells_nothing() -> None:
    assert turned(0.1, split()) == []


def test_a_few_images_are_no_pair() -> None:
    images = split()
    assert turned(10.0, Split(images.pixels, images.index[[0, 1, 8]], images.targets[[0, 1, 8]])) == []


def test_images_that_are_not_recognised_do_not_count() -> None:
    images = split()
    assert turned(10.0, Split(images.pixels, images.index, (images.targets + 1) % 2)) == []
