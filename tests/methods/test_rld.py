import numpy as np
import pytest
import torch

from edgekd.methods.rld import confidence_loss, correlation_loss
from tests.methods.worked import STUDENT, TARGET, TEACHER, kl, softmax, tensor


def test_the_true_class_gets_the_confidence_of_the_teachers_top_class() -> None:
    top, own = softmax(TEACHER).max(1), softmax(STUDENT)[np.arange(3), TARGET]
    expected = kl(np.stack([top, 1 - top], 1), np.stack([own, 1 - own], 1))
    found = confidence_loss(tensor(STUDENT), tensor(TEACHER), torch.from_numpy(TARGET), 1.0)
    assert found.numpy() == pytest.approx(expected, rel=1e-4)


def test_only_classes_below_the_true_one_are_compared() -> None:
    # image 0: all but class 0; image 1: the teacher names class 3, below class 1 are 0 and 2; image 2: all but class 2
    kept = ([1, 2, 3], [0, 2], [0, 1, 3])
    expected = [16 * kl(softmax(TEACHER[i, k], 4), softmax(STUDENT[i, k], 4)) for i, k in enumerate(kept)]
    found = correlation_loss(tensor(STUDENT), tensor(TEACHER), torch.from_numpy(TARGET), 4.0)
    assert found.numpy() == pytest.approx(np.array(expected), rel=1e-4)


def test_where_no_class_is_below_the_true_one_nothing_is_compared() -> None:
    student = tensor(STUDENT).requires_grad_()
    loss = correlation_loss(student, tensor(TEACHER), tensor(TEACHER).argmin(1), 4.0)
    loss.sum().backward()
    assert loss.tolist() == [0, 0, 0] and student.grad is not None and not student.grad.any()
