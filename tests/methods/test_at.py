import numpy as np
import pytest

from edgekd.errors import UsageError
from edgekd.methods.at import at_loss
from edgekd.methods.loading import join, load_method
from tests.methods.made_up import STUDENT, TEACHER, side
from tests.methods.worked import Array, maps, tensor


def attention(features: Array) -> Array:
    squares = (features**2).mean(1).reshape(len(features), -1)
    return np.asarray(squares / np.sqrt((squares**2).sum(1, keepdims=True)))


def test_a_value_in_float64() -> None:
    ours, theirs = maps(3, 2, 4, 1), maps(3, 5, 4, 2)
    expected = ((attention(ours) - attention(theirs)) ** 2).mean()
    assert at_loss(tensor(ours), tensor(theirs)).item() == pytest.approx(expected, rel=1e-4)


def test_the_larger_map_is_averaged_down() -> None:
    ours, theirs = maps(3, 2, 4, 1), maps(3, 5, 2, 2)
    small = ours.reshape(3, 2, 2, 2, 2, 2).mean((3, 5))
    expected = ((attention(small) - attention(theirs)) ** 2).mean()
    assert at_loss(tensor(ours), tensor(theirs)).item() == pytest.approx(expected, rel=1e-4)


def test_where_a_map_is_large_matters_not_how_large() -> None:
    ours = tensor(maps(3, 2, 4, 1))
    assert at_loss(5 * ours, ours).item() == pytest.approx(0, abs=1e-10)


def test_maps_of_one_pixel_are_refused() -> None:
    point = side({"stage1": (4, 1, 1)}, ())
    with pytest.raises(UsageError, match="single pixel"):
        join("at", load_method("at", (), {}), STUDENT, point)


def test_taps_may_be_named() -> None:
    method = load_method("at", ("taps=stage1:stage2,stage3",), {})
    join("at", method, STUDENT, TEACHER)
    assert method.student_needs == {"logits", "features:stage1", "features:stage3"}
    assert method.teacher_needs == {"features:stage2", "features:stage3"}


def test_a_tap_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="the teacher has no map at stage9") as caught:
        join("at", load_method("at", ("taps=stage1:stage9",), {}), STUDENT, TEACHER)
    assert "stage1, stage2, stage3" in caught.value.hint
