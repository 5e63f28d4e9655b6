"""Figures against labels, by hand and against plain counting."""

import math

import numpy as np
import pytest

from edgekd.runtimes.scores import Failure, Tally, scores_of


def tally(logits: list[list[float]], targets: list[int], keep: bool = False, size: int = 2) -> Tally:
    found = Tally(len(logits[0]), keep)
    for start in range(0, len(targets), size):
        part = np.array(logits[start : start + size], np.float32)
        found.add(part, np.array(targets[start : start + size], np.int64))
    return found


LOGITS = [[2.0, 0, 0], [0, 2, 0], [2, 0, 0], [0, 0, 2], [2, 0, 0]]
TARGETS = [0, 1, 1, 0, -1]


def test_figures_by_hand() -> None:
    """Class 0: one of two right, answered twice; class 1: one of two, answered once; class 2: none, answered once."""
    found = tally(LOGITS, TARGETS).scores()
    assert (found.count, found.top1, found.balanced_accuracy) == (4, 0.5, 0.5)
    assert [each.images for each in found.classes] == [2, 2, 0]
    assert [each.precision for each in found.classes] == [0.5, 1.0, 0.0]
    assert [each.f1 for each in found.classes] == pytest.approx([0.5, 2 / 3, 0.0])
    assert found.macro_f1 == pytest.approx((0.5 + 2 / 3) / 3)
    low, high = (math.log(math.exp(2) + 2) - each for each in (2, 0))
    assert found.loss == pytest.approx((2 * low + 2 * high) / 4)
    assert found.top5 is None and found.not_finite == 0


def test_classes_without_images_do_not_count() -> None:
    found = tally([[1.0, 0, 0], [1, 0, 0]], [0, 0]).scores()
    assert (found.top1, found.balanced_accuracy, found.macro_f1) == (1.0, 1.0, 1.0)


def test_imbalance_shows_in_the_balanced_accuracy() -> None:
    found = tally([[1.0, 0]] * 10, [0] * 9 + [1]).scores()
    assert (found.top1, found.balanced_accuracy) == (0.9, 0.5)
    assert found.macro_f1 == pytest.approx((2 * 9 / 19 + 0) / 2)


def test_top5_counts_the_five_likeliest() -> None:
    random = np.random.default_rng(0)
    logits, targets = random.normal(size=(50, 8)), random.integers(0, 8, 50)
    expected = np.mean([target in np.argsort(-row)[:5] for row, target in zip(logits, targets, strict=True)])
    found = tally(logits.tolist(), targets.tolist()).scores()
    assert found.top5 == pytest.approx(expected) and found.top5 > found.top1


def test_wrong_answers_are_kept_with_their_confidence() -> None:
    sure = math.exp(2) / (math.exp(2) + 2)
    found = tally(LOGITS, TARGETS, keep=True).failures
    assert found == [Failure(2, 1, 0, pytest.approx(sure)), Failure(3, 0, 2, pytest.approx(sure))]
    assert tally(LOGITS, TARGETS).failures == []


def test_shares_of_several_processes_add_up() -> None:
    whole = tally(LOGITS, TARGETS).scores()
    parts = [tally(LOGITS[rank::2], TARGETS[rank::2]).numbers() for rank in (0, 1)]
    assert scores_of((parts[0] + parts[1]).tolist()) == whole


def test_answers_that_are_no_numbers_are_counted() -> None:
    found = tally([[math.nan, 0.0], [1.0, math.inf], [1.0, 0.0]], [0, 0, 0]).scores()
    assert (found.count, found.not_finite) == (3, 2)


def test_nothing_labelled_is_no_division_by_zero() -> None:
    found = tally([[1.0, 0.0]], [-1]).scores()
    assert (found.count, found.top1, found.loss, found.balanced_accuracy) == (0, 0.0, 0.0, 0.0)
