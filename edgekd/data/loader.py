"""Which images come when: pure functions of (seed, epoch, rank, world), and batches made ahead."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from edgekd.data.batch import Batch
from edgekd.images.imageset import Split
from edgekd.images.views.counter import random_bits
from edgekd.images.views.mixture import mix, own_share
from edgekd.images.views.recipe import ViewRecipe

ORDER = 2
"""Version of the order of images; to be raised when `epoch_order` or the making of batches from it changes."""
PLAIN = -1
"""The view number of the unvaried canvas."""


def epoch_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """All positions [count] in the order of `epoch`.

    Sorting by hashes is exact on every platform, which a library's shuffle does not promise.
    """
    # Numbers below those of views, or the batches of an epoch would be sorted by what its view does to an image.
    keys = random_bits(seed, PLAIN - 1 - epoch, np.arange(count, dtype=np.int64), 1)[:, 0]
    return np.argsort(keys, kind="stable").astype(np.int64)


@dataclass(frozen=True)
class Batches:
    """Endless training batches of a split; epoch e shows view e, or e mod `views` when a teacher saw only these.

    `batch_size` is that of all ranks together: each of `world` gets its share of the batch that one alone would see.
    With `strong` the images are also shown in that recipe's view of the same number, mixed with the same partners.
    """

    split: Split
    recipe: ViewRecipe
    batch_size: int
    seed: int
    views: int | None = None
    rank: int = 0
    world: int = 1
    strong: ViewRecipe | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch; a set smaller than a batch is one batch."""
        return max(1, len(self.split) // self.batch_size)

    @property
    def images_per_step(self) -> int:
        """Images of a batch, of all ranks together."""
        return min(self.batch_size, len(self.split))

    def starting_at(self, step: int) -> Iterator[Batch]:
        """Batches from global step `step` on, prepared one ahead of the one in use."""
        return _ahead(self._from(step))

    def _from(self, step: int) -> Iterator[Batch]:
        epoch, first = divmod(step, self.steps_per_epoch)
        while True:
            view = epoch if self.views is None else epoch % self.views
            order = epoch_order(self.seed, epoch, len(self.split))
            for start in range(first, self.steps_per_epoch):
                whole = order[start * self.batch_size : (start + 1) * self.batch_size]
                yield self._batch(whole[self.rank :: self.world], view)
            epoch, first = epoch + 1, 0

    def _batch(self, positions: NDArray[np.int64], view: int) -> Batch:
        batch = make_batch(self.split, positions, view, self.recipe)
        if self.strong is None:
            return batch
        return replace(batch, strong=make_batch(self.split, positions, view, self.strong).canvas)


def make_batch(split: Split, positions: NDArray[np.int64], view: int, recipe: ViewRecipe | None = None) -> Batch:
    """The batch of these positions of a split, in view `view` of `recipe`, or plain without a recipe."""
    rows = split.index[positions]
    index = split.numbers(rows)
    target = torch.from_numpy(split.targets[positions])
    if recipe is None or view == PLAIN or not recipe.is_mixed(view):
        canvas = split.pixels.gather(rows)
        if recipe is not None and view != PLAIN:
            canvas = recipe.vary(canvas, view, index)
        return Batch(torch.from_numpy(canvas), target, index, view)
    canvas, partners, share = _mixed(split, rows, view, recipe)
    return Batch(torch.from_numpy(canvas), target, index, view, torch.from_numpy(partners), torch.from_numpy(share))


def _mixed(
    split: Split, rows: NDArray[np.int64], view: int, recipe: ViewRecipe
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float32]]:
    """Canvases with their partners mixed in, the partners' targets, and the share of each image's own label.

    A partner is shown as its own view has it before it is mixed with anything itself.
    """
    if split.roster is None:
        raise ValueError("mixup and CutMix need a split that knows all its images")
    side = split.pixels.shape[1]
    how, words = recipe.mixtures(view, split.numbers(rows), side)
    partners = split.roster.partners.of(rows, words)
    share = own_share(how, side)
    mixed = np.flatnonzero(share < 1)
    every = np.concatenate([rows, partners[mixed]])
    varied = recipe.vary(split.pixels.gather(every), view, split.numbers(every))
    canvas = varied[: len(rows)]
    canvas[mixed] = mix(canvas[mixed], varied[len(rows) :], how[mixed])
    return canvas, split.roster.targets[partners], share


def in_order(split: Split, batch_size: int, start: int = 0, stop: int | None = None) -> Iterator[Batch]:
    """Plain batches of positions `start` to `stop` in order, the last one possibly smaller."""
    stop = len(split) if stop is None else stop
    spans = range(start, stop, batch_size)
    return _ahead(make_batch(split, np.arange(i, min(i + batch_size, stop)), PLAIN) for i in spans)


def view_in_order(
    split: Split, recipe: ViewRecipe, view: int, batch_size: int, span: range | NDArray[np.int64]
) -> Iterator[Batch]:
    """Batches of one view of the positions in `span`, in order."""
    positions = np.asarray(span, np.int64)
    starts = range(0, len(positions), batch_size)
    return _ahead(make_batch(split, positions[i : i + batch_size], view, recipe) for i in starts)


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, each made in a second thread while the one before it is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        coming = thread.submit(next, batches, None)
        while (batch := awaited(coming)) is not None:
            coming = thread.submit(next, batches, None)
            yield batch


def awaited(coming: "Future[Batch | None]") -> Batch | None:
    """The result of a future, where a signal may raise KeyboardInterrupt at any instant.

    Python's conditions lose their lock when that happens just as they take it back, and then raise RuntimeError.
    """
    try:
        return coming.result()
    except RuntimeError as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise
