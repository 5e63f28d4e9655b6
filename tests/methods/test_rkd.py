import numpy as np
import pytest

from edgekd.methods.rkd import rkd_loss
from tests.methods.worked import Array, tensor


def huber(difference: Array) -> Array:
    size = np.abs(difference)
    return np.asarray(np.where(size < 1, size**2 / 2, size - 0.5))


def by_hand(features: Array) -> tuple[Array, Array]:
    count = len(features)
    lengths, cosines = np.zeros((count, count)), np.zeros((count, count, count))
    for i in range(count):
        for j in range(count):
            lengths[i, j] = np.linalg.norm(features[i] - features[j])
    for i in range(count):
        for j in range(count):
            for k in range(count):
                if i not in (j, k):
                    a, b = features[j] - features[i], features[k] - features[i]
                    cosines[i, j, k] = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    return lengths / lengths[lengths > 0].mean(), cosines


def test_values_in_float64() -> None:
    random = np.random.default_rng(0)
    ours, theirs = random.normal(size=(4, 3)), random.normal(size=(4, 6))
    expected = [huber(a - b).mean() for a, b in zip(by_hand(ours), by_hand(theirs), strict=True)]
    assert [each.item() for each in rkd_loss(tensor(ours), tensor(theirs))] == pytest.approx(expected, rel=1e-4)


def test_a_turned_shifted_and_stretched_student_loses_nothing() -> None:
    theirs = np.random.default_rng(0).normal(size=(5, 2))
    ours = 3 * theirs @ np.array([[0.6, -0.8], [0.8, 0.6]]) + 1
    assert [each.item() for each in rkd_loss(tensor(ours), tensor(theirs))] == pytest.approx([0, 0], abs=1e-6)


def test_images_that_all_look_the_same_have_finite_gradients() -> None:
    ours = tensor(np.ones((4, 3))).requires_grad_()
    sum(rkd_loss(ours, tensor(np.random.default_rng(0).normal(size=(4, 3))))).backward()  # type: ignore[union-attr]
    assert ours.grad is not None and ours.grad.isfinite().all()
