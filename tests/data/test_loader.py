import threading
from concurrent.futures import Future
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgekd.data.batch import Batch
from edgekd.data.loader import Batches, awaited, epoch_order, in_order, make_batch, view_in_order
from edgekd.images.imageset import Split
from edgekd.images.partners import Roster
from edgekd.images.views.geometry import render
from edgekd.images.views.mixture import mix, own_share
from edgekd.images.views.recipe import ViewRecipe


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
    assert epoch_order(0, 0, 8).tolist() == [4, 0, 5, 7, 2, 6, 3, 1]
    assert epoch_order(3, 2, 8).tolist() == [3, 1, 5, 4, 2, 0, 7, 6]


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_the_order_has_nothing_to_do_with_the_views(epoch: int) -> None:
    """Equal seeds and images numbered by their positions are the usual case."""
    moves = ViewRecipe(0.25, True, 0).parameters(epoch, np.arange(4000), 32)[epoch_order(0, epoch, 4000)]
    places = np.arange(4000)
    assert all(abs(np.corrcoef(places, each)[0, 1]) < 0.1 for each in moves.T)


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_the_batches_that_one_alone_would_see(split: Split, world: int) -> None:
    alone = islice(Batches(split, RECIPE, 5, seed=1).starting_at(0), 9)
    shares = [Batches(split, RECIPE, 5, seed=1, rank=rank, world=world).starting_at(0) for rank in range(world)]
    for whole in alone:
        parts = [next(share) for share in shares]
        assert all((part.canvas == whole.canvas[rank::world]).all() for rank, part in enumerate(parts))
        assert sum(map(len, parts)) == 5 and all(part.view == whole.view for part in parts)


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


class Noise:
    """Pixels of noise."""

    shape = (60, 8, 8, 3)
    canvases = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    def gather(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.canvases[rows]


ROWS = np.arange(60)
TARGETS = np.where(ROWS % 9 == 0, -1, ROWS % 4)
MIXED = ViewRecipe(0.125, True, 5, randaugment=1, mixup=0.4, cutmix=1.0, mix_share=0.8)


def known(ids: NDArray[np.int64] | None = None) -> tuple[Split, Split]:
    """All images and those that train, four of five."""
    roster = Roster(TARGETS, ROWS % 5 > 0, ids)
    train = np.flatnonzero(roster.is_training)
    return Split(Noise(), ROWS, TARGETS, roster), Split(Noise(), train, TARGETS[train], roster)


def by_number(batches: list[Batch]) -> dict[int, tuple[bytes, int, float]]:
    return {
        int(number): (canvas.numpy().tobytes(), int(target), float(share))
        for batch in batches
        for number, canvas, target, share in zip(
            batch.index, batch.canvas, batch.partner_target, batch.share, strict=True
        )
    }


@pytest.mark.parametrize("size", [1, 7, 60])
def test_training_sees_the_mixed_pixels_that_the_teacher_saw(size: int) -> None:
    everything, train = known()
    seen = by_number(list(view_in_order(everything, MIXED, 1, size, range(60))))
    trained = by_number(list(islice(Batches(train, MIXED, 16, seed=3, views=2).starting_at(3), 3)))
    assert len(trained) == 48 and all(seen[number] == shown for number, shown in trained.items())


def test_a_mixed_image_is_its_own_view_and_its_partners() -> None:
    everything, _ = known()
    batch = make_batch(everything, ROWS, 1, MIXED)
    how, words = MIXED.mixtures(1, ROWS, 8)
    partners = everything.roster.partners.of(ROWS, words)
    own, others = (MIXED.vary(Noise.canvases[rows], 1, rows) for rows in (ROWS, partners))
    assert np.array_equal(batch.canvas, mix(own, others, how))
    assert np.array_equal(batch.partner_target, TARGETS[partners]) and np.array_equal(batch.share, own_share(how, 8))


def test_images_that_are_not_mixed_have_all_of_their_own_label() -> None:
    batch = make_batch(known()[0], ROWS, 1, MIXED)
    plain = make_batch(known()[0], ROWS, 1, replace(MIXED, mixup=0.0, cutmix=0.0))
    alone = (batch.share == 1).numpy()
    assert 0 < alone.sum() < 60 and plain.share is None and plain.partner_target is None
    assert np.array_equal(batch.canvas[alone], plain.canvas[alone])


def test_views_go_by_number_and_pixels_by_row() -> None:
    ids = np.random.default_rng(2).permutation(60)
    before, after = known()[0], known(ids)[0]
    batch = make_batch(after, np.array([4, 9]), 1, RECIPE)
    assert batch.index.tolist() == ids[[4, 9]].tolist()
    expected = render(Noise.canvases[[4, 9]], RECIPE.parameters(1, ids[[4, 9]], 8))
    assert np.array_equal(batch.canvas, expected)
    assert np.array_equal(make_batch(before, np.array([4]), -1).canvas, make_batch(after, np.array([4]), -1).canvas)


def test_the_plain_view_is_not_mixed() -> None:
    batch = make_batch(known()[0], ROWS, 0, replace(MIXED, plain_view=True))
    assert batch.share is None and batch.view == 0 and np.array_equal(batch.canvas, Noise.canvases)


def test_parts_of_a_batch_keep_their_shares() -> None:
    batch = make_batch(known()[0], ROWS, 1, MIXED)
    first = batch.first(3).to(torch.device("cpu"))
    assert len(first) == 3 and first.share.tolist() == batch.share[:3].tolist()
    assert first.partner_target.tolist() == batch.partner_target[:3].tolist()


def test_mixing_needs_to_know_all_images(split: Split) -> None:
    with pytest.raises(ValueError, match="all its images"):
        make_batch(split, np.array([0]), 0, ViewRecipe(0.0, False, 0, mixup=1.0))


class Unlocked(Future[Any]):
    """A future that a signal meets while it takes its lock back."""

    def result(self, timeout: float | None = None) -> Any:  # noqa: ANN401
        try:
            raise KeyboardInterrupt(15)
        finally:
            threading.Lock().release()


def test_a_signal_is_not_lost_where_a_batch_is_awaited() -> None:
    with pytest.raises(KeyboardInterrupt) as stopped:
        awaited(Unlocked())
    assert stopped.value.args == (15,)


def test_a_strong_view_comes_with_its_weak_one(split: Split) -> None:
    plain, strong = Batches(split, RECIPE, 5, seed=1), RECIPE.strengthened()
    both = replace(plain, strong=strong)
    for weak, batch in islice(zip(plain.starting_at(0), both.starting_at(0), strict=False), 6):
        positions = np.searchsorted(split.index, batch.index)
        assert torch.equal(weak.canvas, batch.canvas) and weak.strong is None and batch.strong is not None
        assert torch.equal(batch.strong, make_batch(split, positions, batch.view, strong).canvas)
        turned = batch.in_strong_view()
        assert torch.equal(turned.canvas, batch.strong) and turned.is_strong and turned.strong is None
        assert torch.equal(torch.cat([each.strong for each in batch.pieces(2)]), batch.strong)
    with pytest.raises(ValueError, match="without a strong view"):
        weak.in_strong_view()
