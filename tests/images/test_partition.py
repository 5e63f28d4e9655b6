import numpy as np
import pytest

from edgekd.errors import UsageError
from edgekd.images.partition import hold_out, keep_labels, limit

PATHS = [f"class{number % 4}/{number:03d}.png" for number in range(200)]
TARGETS = np.array([number % 4 for number in range(200)])


def test_every_class_gives_its_share() -> None:
    held = hold_out(PATHS, TARGETS, 0.1, seed=0)
    assert np.bincount(TARGETS[held]).tolist() == [5, 5, 5, 5]


def test_a_class_of_two_gives_one_and_a_class_of_one_none() -> None:
    held = hold_out(["a/0", "a/1", "b/0"], np.array([0, 0, 1]), 0.01, seed=0)
    assert held[:2].sum() == 1
    assert not held[2]


def test_the_choice_follows_the_path_not_the_position() -> None:
    order = np.random.default_rng(0).permutation(200)
    held = hold_out(PATHS, TARGETS, 0.2, seed=3)
    shuffled = hold_out([PATHS[place] for place in order], TARGETS[order], 0.2, seed=3)
    assert np.array_equal(shuffled, held[order])


def test_another_seed_holds_out_others() -> None:
    assert not np.array_equal(hold_out(PATHS, TARGETS, 0.2, seed=0), hold_out(PATHS, TARGETS, 0.2, seed=1))


def test_unlabelled_images_are_never_held_out() -> None:
    assert not hold_out(PATHS, np.full(200, -1), 0.5, seed=0).any()


def test_a_limit_keeps_proportions_and_order() -> None:
    targets = np.array([0] * 105 + [1] * 45 + [-1] * 50)
    rows = limit(PATHS, targets, 20)
    assert np.unique(targets[rows], return_counts=True)[1].tolist() == [4, 10, 6]
    assert np.array_equal(rows, np.sort(rows))


@pytest.mark.parametrize("most", [8, 9, 57, 199, 200, 1000])
def test_a_limit_is_used_up(most: int) -> None:
    assert len(limit(PATHS, TARGETS, most)) == min(most, 200)


def test_a_larger_limit_keeps_what_the_smaller_had() -> None:
    assert set(limit(PATHS, TARGETS, 40).tolist()) <= set(limit(PATHS, TARGETS, 80).tolist())


def test_a_limit_below_two_per_class_is_refused() -> None:
    with pytest.raises(UsageError, match="--limit 7"):
        limit(PATHS, TARGETS, 7)


def test_each_class_keeps_its_share_of_labels() -> None:
    kept = keep_labels(PATHS, TARGETS, 0.1, seed=0)
    assert np.bincount(kept[kept >= 0]).tolist() == [5, 5, 5, 5]
    assert np.array_equal(kept[kept >= 0], TARGETS[kept >= 0])
    assert (kept < 0).sum() == 180


def test_a_rare_class_keeps_two_labels_and_unlabelled_images_gain_none() -> None:
    targets = np.array([0] * 190 + [1] * 3 + [-1] * 7)
    kept = keep_labels(PATHS, targets, 0.01, seed=0)
    assert [(kept == each).sum() for each in (0, 1)] == [2, 2]
    assert (kept[-7:] == -1).all()


def test_more_labels_are_added_to_those_kept_before_and_another_seed_keeps_others() -> None:
    few, more, other = (keep_labels(PATHS, TARGETS, share, seed) for share, seed in ((0.1, 0), (0.2, 0), (0.1, 1)))
    assert ((few < 0) | (few == more)).all() and not np.array_equal(few, other)
