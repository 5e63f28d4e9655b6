"""What every objective, teacher and method is given at a step."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """One step's images.

    `canvas` is uint8 [batch, side, side, channels], `target` int64 [batch] with -1 for unlabelled images,
    `index` int64 [batch] the numbers by which views and caches know them, `view` the number of the view shown
    (-1: the plain canvas). Of mixed images `partner_target` int64 [batch] is the label of the image mixed in, and
    `share` float32 [batch] the weight of the own label, 0-1; else both are None. `strong` has the same images as
    `canvas` in a strong view, where a method asks for it; `is_strong` says that `canvas` is that view.
    """

    canvas: Tensor
    target: Tensor
    index: NDArray[np.int64]
    view: int
    partner_target: Tensor | None = None
    share: Tensor | None = None
    strong: Tensor | None = None
    is_strong: bool = False

    def __len__(self) -> int:
        return len(self.index)

    def first(self, count: int) -> "Batch":
        """The first `count` images."""
        return self._span(0, count)

    def pieces(self, count: int) -> "list[Batch]":
        """The batch cut into `count` pieces that differ by one image at most; fewer when it has fewer images."""
        if count == 1:
            return [self]
        edges = [len(self) * each // count for each in range(count + 1)]
        return [self._span(start, stop) for start, stop in pairwise(edges) if stop > start]

    def _span(self, start: int, stop: int) -> "Batch":
        return replace(self._each(lambda tensor: tensor[start:stop]), index=self.index[start:stop])

    def to(self, device: torch.device) -> "Batch":
        """The batch with its tensors on `device`."""
        return self._each(lambda tensor: tensor.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        partner_target, share, strong = (
            each if each is None else change(each) for each in (self.partner_target, self.share, self.strong)
        )
        canvas, target = change(self.canvas), change(self.target)
        return replace(self, canvas=canvas, target=target, partner_target=partner_target, share=share, strong=strong)

    def in_strong_view(self) -> "Batch":
        """The batch whose canvases are those of the strong view; raises ValueError when it has none."""
        if self.strong is None:
            raise ValueError("a batch without a strong view")
        return replace(self, canvas=self.strong, strong=None, is_strong=True)
