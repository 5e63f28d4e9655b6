import pytest

from edgekd.methods.ttm import ttm_loss
from edgekd.methods.wttm import smoothness
from tests.methods.worked import STUDENT, TEACHER, kl, softmax, tensor


def test_the_teachers_probabilities_are_raised_to_a_power() -> None:
    powered = softmax(TEACHER) ** 0.2
    expected = kl(powered / powered.sum(1, keepdims=True), softmax(STUDENT))
    assert ttm_loss(tensor(STUDENT), tensor(TEACHER), 0.2).numpy() == pytest.approx(expected, rel=1e-4)


def test_an_image_counts_by_the_sum_of_the_powers() -> None:
    assert smoothness(tensor(TEACHER), 0.2).numpy() == pytest.approx((softmax(TEACHER) ** 0.2).sum(1), rel=1e-5)
    assert smoothness(tensor(TEACHER), 1.0).tolist() == pytest.approx([1, 1, 1])
