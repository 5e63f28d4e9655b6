import numpy as np
import pytest
import torch

from edgekd.methods.dist import dist_loss
from tests.methods.worked import STUDENT, TEACHER, softmax, tensor


def test_values_in_float64() -> None:
    ours, theirs = softmax(STUDENT, 4), softmax(TEACHER, 4)
    inter = np.mean([1 - np.corrcoef(a, b)[0, 1] for a, b in zip(ours, theirs, strict=True)])
    intra = np.mean([1 - np.corrcoef(a, b)[0, 1] for a, b in zip(ours.T, theirs.T, strict=True)])
    found = dist_loss(tensor(STUDENT), tensor(TEACHER), 4.0)
    assert [each.item() for each in found] == pytest.approx([16 * inter, 16 * intra], rel=1e-4)


def test_a_row_that_is_a_linear_map_of_the_other_costs_nothing() -> None:
    probabilities = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])
    inter, _ = dist_loss((0.5 * probabilities + 1 / 6).log(), probabilities.log(), 1.0)
    assert inter.item() == pytest.approx(0, abs=1e-6)


def test_one_image_has_no_intra_class_relation() -> None:
    _, intra = dist_loss(tensor(STUDENT[:1]), tensor(TEACHER[:1]), 1.0)
    assert intra.item() == 0
