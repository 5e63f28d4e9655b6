import numpy as np
import pytest

from edgekd.images.balance import balanced_weights, tell_classes
from edgekd.report import Silent

TARGETS = np.array([0] * 6 + [1] * 3 + [-1] * 5)


def test_weights_are_inverse_to_the_images_with_a_mean_of_one() -> None:
    weights = balanced_weights(TARGETS, 3)
    assert weights.tolist() == [0.75, 1.5, 0]
    assert weights[TARGETS[:9]].mean() == pytest.approx(1)


def test_classes_and_their_images_are_told() -> None:
    report = Silent()
    tell_classes(("a", "b"), TARGETS, report)
    tell_classes(tuple("abcdefgh"), np.arange(8), report)
    assert report.notes == [
        "2 classes: a, b; training images per class: 3 (b) to 6 (a)",
        "8 classes: a, b, c, d, e, f and 2 more; training images per class: 1",
    ]


def test_a_rare_class_is_worth_a_note_unless_it_is_weighed() -> None:
    report = Silent()
    targets = np.array([0] * 11 + [1])
    tell_classes(("a", "b"), targets, report)
    assert "class b has 9.1% of the images of a: --class-weights balanced" in report.notes[1]
    tell_classes(("a", "b"), targets, report, weighted=True)
    tell_classes(("a", "b"), targets[1:], report)
    assert len(report.notes) == 4
