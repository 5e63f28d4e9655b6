import numpy as np
import pytest
import torch

from edgekd.errors import UsageError
from edgekd.methods.softening import divergence, logits_of, one_against_rest, standardized, strong_of, without
from edgekd.models.outputs import Output
from tests.methods.worked import STUDENT, TARGET, TEACHER, kl, softmax, tensor


def test_rows_get_mean_0_and_deviation_1() -> None:
    rows = standardized(tensor(STUDENT)).double().numpy()
    expected = (STUDENT - STUDENT.mean(1, keepdims=True)) / STUDENT.std(1, keepdims=True)
    assert rows == pytest.approx(expected, abs=1e-5)


def test_a_row_of_equal_logits_becomes_0_with_a_finite_gradient() -> None:
    flat = torch.full((2, 4), 3.0, requires_grad=True)
    standardized(flat).square().sum().backward()
    assert torch.equal(standardized(flat), torch.zeros(2, 4))
    assert flat.grad is not None and torch.isfinite(flat.grad).all()


def test_the_divergence_of_each_row() -> None:
    expected = 9 * kl(softmax(TEACHER, 3), softmax(STUDENT, 3))
    assert divergence(tensor(STUDENT), tensor(TEACHER), 3.0).numpy() == pytest.approx(expected, rel=1e-5)


def test_one_class_against_all_others() -> None:
    target = torch.from_numpy(TARGET)
    own = softmax(STUDENT)[np.arange(3), TARGET]
    pair = one_against_rest(tensor(np.log(softmax(STUDENT))), target).exp().numpy()
    assert pair == pytest.approx(np.stack([own, 1 - own], axis=1), rel=1e-5)
    assert without(tensor(STUDENT), target)[1].tolist() == pytest.approx([0.2, -1.0, 0.1])


def test_a_teachers_logits_are_cut_off() -> None:
    logits = torch.zeros(1, 2, requires_grad=True)
    assert logits_of(Output(logits), "student").requires_grad
    assert not logits_of(Output(logits), "teacher").requires_grad


def test_what_an_output_lacks_is_named() -> None:
    with pytest.raises(UsageError, match="the teacher gives no logits"):
        logits_of(Output(), "teacher")
    with pytest.raises(UsageError, match="the student was shown no strong view"):
        strong_of(Output(torch.zeros(1, 2)), "student")
