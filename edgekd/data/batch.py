"""What every objective, teacher and method is given at a step."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """One step's images.

    `canvas` is uint8 [batch, side, side, channels], `target` int64 [batch] with -1 for unlabelled images,
    `index` int64 [batch] their places in the training listing, `view` the number of the view shown
    (-1: the plain canvas).
    """

    canvas: Tensor
    target: Tensor
    index: NDArray[np.int64]
    view: int

    def __len__(self) -> int:
        return len(self.index)

    def first(self, count: int) -> "Batch":
        """The first `count` images."""
        return replace(self, canvas=self.canvas[:count], target=self.target[:count], index=self.index[:count])

    def to(self, device: torch.device) -> "Batch":
        """The batch with its tensors on `device`."""
        return replace(self, canvas=self.canvas.to(device), target=self.target.to(device))
