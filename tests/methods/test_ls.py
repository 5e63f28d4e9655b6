import pytest

from edgekd.methods.ls import ls_loss
from tests.methods.made_up import STUDENT as SIDE
from tests.methods.made_up import TEACHER as OTHER
from tests.methods.made_up import batch, built, output, total
from tests.methods.worked import STUDENT, TEACHER, kl, softmax, tensor


def test_a_value_in_float64() -> None:
    ours, theirs = ((each - each.mean(1, keepdims=True)) / each.std(1, keepdims=True) for each in (STUDENT, TEACHER))
    expected = 4 * kl(softmax(theirs, 2), softmax(ours, 2)).mean()
    assert expected == pytest.approx(0.742583, abs=1e-6)
    assert ls_loss(tensor(STUDENT), tensor(TEACHER), 2.0).item() == pytest.approx(expected, rel=1e-5)


def test_size_and_offset_of_logits_do_not_matter() -> None:
    ours, theirs = tensor(STUDENT), tensor(TEACHER)
    assert ls_loss(7 * ours + 3, theirs, 2.0).item() == pytest.approx(ls_loss(ours, theirs, 2.0).item(), rel=1e-4)


def test_it_is_kd_standardised() -> None:
    said = output(SIDE, 6, 1), output(OTHER, 6, 2), batch(6), 0.5
    ls, kd = built("ls"), built("kd", "standardize=true", "temperature=2")
    assert total(ls(*said)).item() == total(kd(*said)).item()
    assert (ls.label_weight, ls.alpha) == (kd.label_weight, kd.alpha) == (0.1, None)
    assert kd.teacher_needs == ls.teacher_needs == {"logits"}
