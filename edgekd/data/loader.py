"""Which images come when: orders that are pure functions of (seed, epoch, rank, world), and batches made ahead."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from edgekd.data.batch import Batch
from edgekd.images.counter import random_bits
from edgekd.images.imageset import Split
from edgekd.images.views import ViewRecipe, render

PLAIN = -1
"""The view number of the unvaried canvas."""


def epoch_order(seed: int, epoch: int, count: int, rank: int = 0, world: int = 1) -> NDArray[np.int64]:
    """The positions [count // world] that `rank` sees in `epoch`; ranks share none.

    Sorting by hashes is exact on every platform, which a library's shuffle does not promise.
    """
    keys = random_bits(seed, epoch, np.arange(count, dtype=np.int64), 1)[:, 0]
    order = np.argsort(keys, kind="stable")
    return order[: count - count % world][rank::world].astype(np.int64)


@dataclass(frozen=True)
class Batches:
    """Endless training batches of a split; epoch e shows view e, or e mod `views` when a teacher saw only these."""

    split: Split
    recipe: ViewRecipe
    batch_size: int
    seed: int
    views: int | None = None
    rank: int = 0
    world: int = 1

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch; a set smaller than a batch is one batch."""
        return max(1, len(self.split) // self.world // self.batch_size)

    def starting_at(self, step: int) -> Iterator[Batch]:
        """Batches from global step `step` on, prepared one ahead of the one in use."""
        return _ahead(self._from(step))

    def _from(self, step: int) -> Iterator[Batch]:
        epoch, first = divmod(step, self.steps_per_epoch)
        while True:
            view = epoch if self.views is None else epoch % self.views
            order = epoch_order(self.seed, epoch, len(self.split), self.rank, self.world)
            for start in range(first, self.steps_per_epoch):
                yield self._batch(order[start * self.batch_size : (start + 1) * self.batch_size], view)
            epoch, first = epoch + 1, 0

    def _batch(self, positions: NDArray[np.int64], view: int) -> Batch:
        return make_batch(self.split, positions, view, self.recipe)


def make_batch(split: Split, positions: NDArray[np.int64], view: int, recipe: ViewRecipe | None = None) -> Batch:
    """The batch of these positions of a split, in view `view` of `recipe`, or plain without a recipe."""
    index = split.index[positions]
    canvas = split.pixels.gather(index)
    if recipe is not None and view != PLAIN:
        canvas = render(canvas, recipe.parameters(view, index, canvas.shape[1]))
    return Batch(torch.from_numpy(canvas), torch.from_numpy(split.targets[positions]), index, view)


def in_order(split: Split, batch_size: int, start: int = 0, stop: int | None = None) -> Iterator[Batch]:
    """Plain batches of positions `start` to `stop` in order, the last one possibly smaller."""
    stop = len(split) if stop is None else stop
    spans = range(start, stop, batch_size)
    return _ahead(make_batch(split, np.arange(i, min(i + batch_size, stop)), PLAIN) for i in spans)


def view_in_order(split: Split, recipe: ViewRecipe, view: int, batch_size: int, span: range) -> Iterator[Batch]:
    """Batches of one view of the positions in `span`, in order."""
    starts = range(span.start, span.stop, batch_size)
    return _ahead(make_batch(split, np.arange(i, min(i + batch_size, span.stop)), view, recipe) for i in starts)


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, each made in a second thread while the one before it is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch
