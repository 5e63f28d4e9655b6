import numpy as np
import pytest

from edgekd.methods.sp import sp_loss
from tests.methods.made_up import built
from tests.methods.worked import Array, maps, tensor


def similarity(features: Array) -> Array:
    rows = features.reshape(len(features), -1)
    products = rows @ rows.T
    return np.asarray(products / np.linalg.norm(products, axis=1, keepdims=True))


def test_a_value_in_float64() -> None:
    ours, theirs = maps(3, 2, 4, 1), maps(3, 5, 2, 2)
    expected = ((similarity(ours) - similarity(theirs)) ** 2).sum() / 9
    assert sp_loss(tensor(ours), tensor(theirs)).item() == pytest.approx(expected, rel=1e-4)


def test_the_last_stages_are_compared() -> None:
    method = built("sp")
    assert method.student_needs == {"logits", "features:stage4"} and method.teacher_needs == {"features:stage3"}
