from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekd.data.loader import Batches, epoch_order, in_order, make_batch, view_in_order
from edgekd.images.imageset import Split
from edgekd.images.views import ViewRecipe, render


class Counted:
    """Pixels whose canvas says which row it is."""

    shape = (23, 4, 4, 1)

    def gather(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.broadcast_to(rows[:, None, None, None], (len(rows), 4, 4, 1)).astype(np.uint8).copy()


@pytest.fixture
def split() -> Split:
    return Split(Counted(), np.arange(1, 22, dtype=np.int64), np.arange(21, dtype=np.int64) % 3)


RECIPE = ViewRecipe(0.25, True, 5)


def test_an_epoch_shows_every_image_once() -> None:
    assert sorted(epoch_order(3, 1, 50)) == list(range(50))


def test_epochs_and_seeds_differ() -> None:
    orders = {tuple(epoch_order(seed, epoch, 50)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_orders_never_change() -> None:
    assert epoch_order(0, 0, 8).tolist() == epoch_order(0, 0, 8).tolist()


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_no_image(world: int) -> None:
    parts = [epoch_order(0, 0, 50, rank, world) for rank in range(world)]
    assert len({len(part) for part in parts}) == 1
    assert len(set(np.concatenate(parts))) == 50 // world * world


def test_batches_can_start_anywhere(split: Split) -> None:
    batches = Batches(split, RECIPE, 5, seed=1)
    whole = list(islice(batches.starting_at(0), 10))
    later = list(islice(batches.starting_at(6), 4))
    for ours, theirs in zip(whole[6:], later, strict=True):
        assert ours.view == theirs.view and (ours.index == theirs.index).all()
        assert (ours.canvas == theirs.canvas).all()


def test_a_view_is_used_per_epoch_and_again_when_a_teacher_saw_only_some(split: Split) -> None:
    fresh = [batch.view for batch in islice(Batches(split, RECIPE, 7, seed=0).starting_at(0), 9)]
    taught = [batch.view for batch in islice(Batches(split, RECIPE, 7, seed=0, views=2).starting_at(0), 9)]
    assert fresh == [0, 0, 0, 1, 1, 1, 2, 2, 2] and taught == [0, 0, 0, 1, 1, 1, 0, 0, 0]


def test_a_batch_is_the_view_of_its_own_images(split: Split) -> None:
    batch = next(Batches(split, RECIPE, 5, seed=0).starting_at(0))
    plain = split.pixels.gather(batch.index)
    expected = render(plain, RECIPE.parameters(batch.view, batch.index, 4))
    assert (batch.canvas.numpy() == expected).all()


def test_a_set_smaller_than_a_batch_is_one_batch(split: Split) -> None:
    batches = Batches(split, RECIPE, 100, seed=0)
    assert batches.steps_per_epoch == 1 and len(next(batches.starting_at(0))) == 21


def test_evaluation_sees_all_in_order(split: Split) -> None:
    seen = [int(each) for batch in in_order(split, 4) for each in batch.index]
    assert seen == list(range(1, 22))


def test_the_same_view_in_order_and_shuffled_has_the_same_pixels(split: Split) -> None:
    ordered = {
        int(i): c for b in view_in_order(split, RECIPE, 0, 6, range(21)) for i, c in zip(b.index, b.canvas, strict=True)
    }
    batch = next(Batches(split, RECIPE, 5, seed=9).starting_at(0))
    assert all((ordered[int(i)] == canvas).all() for i, canvas in zip(batch.index, batch.canvas, strict=True))


def test_targets_travel_with_their_images(split: Split) -> None:
    batch = make_batch(split, np.array([4, 0]), -1)
    assert batch.index.tolist() == [5, 1] and batch.target.tolist() == [1, 0]
