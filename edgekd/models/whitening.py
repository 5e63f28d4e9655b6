"""A first layer that is set from the images instead of learned: it takes small patches apart into what varies alone.

After Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (2024), section 3.2, and Page's myrtle.ai nets before.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.images.imageset import ImageData
from edgekd.models.network import Network

PATCH = 2
LEAST_VARIANCE = 5e-4
"""Added to every variance, so that what hardly varies, noise, is not blown up."""
PIXELS = 1_000_000
"""About so many patches are looked at."""


class Whitening(nn.Conv2d):
    """Images [n, C, h, w] to the principal components of their 2x2 patches, each at variance 1, and the negatives.

    Gives [n, 8 C, h - 1, w - 1] at stride 1. Its weights are not trained: no gradient is computed for it.
    """

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__(channels, 2 * channels * PATCH**2, PATCH, stride, bias=False)
        self.weight.requires_grad_(False)

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Set the weights from normalised images [n, C, h, w]."""
        patches = F.unfold(images, PATCH).transpose(1, 2).flatten(0, 1)
        covariance = (patches.T @ patches).double() / len(patches)
        variances, directions = torch.linalg.eigh(covariance)
        filters = (directions / (variances + LEAST_VARIANCE).sqrt()).T.view(-1, *self.weight.shape[1:])
        self.weight.copy_(torch.cat([filters, -filters]))


def fit_whitening(network: Network, data: ImageData) -> None:
    """Set the whitening layers at the network's entry from training images, evenly picked; most networks have none."""
    layers = [each for each in network.modules() if isinstance(each, Whitening)]
    if not layers:
        return
    count = min(len(data.train), max(1, PIXELS // network.spec.input_size**2))
    rows = data.train.index[np.linspace(0, len(data.train) - 1, count).astype(np.int64)]
    with torch.no_grad():
        images = network.eval().prepare(torch.from_numpy(data.train.pixels.gather(rows)))
    network.train()
    for layer in layers:
        layer.fit(images)
