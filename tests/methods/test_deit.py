import numpy as np
import pytest
import torch

from edgekd.errors import UsageError
from edgekd.methods.deit_hard import deit_hard_loss
from edgekd.methods.loading import join, load_method
from tests.methods.made_up import STUDENT as SIDE
from tests.methods.made_up import STUDENT_MAPS, batch, built, output, side
from tests.methods.made_up import TEACHER as OTHER
from tests.methods.worked import STUDENT, TEACHER, kl, softmax, tensor


def test_the_token_learns_the_teachers_top_class() -> None:
    expected = -np.log(softmax(STUDENT)[np.arange(3), [0, 3, 2]]).mean()
    assert deit_hard_loss(tensor(STUDENT), tensor(TEACHER)).item() == pytest.approx(expected, rel=1e-5)


def test_the_token_learns_the_teachers_softened_answers() -> None:
    student, teacher = output(SIDE, 6, 1), output(OTHER, 6, 2)
    assert teacher.logits is not None
    token, logits = (each.detach().double().numpy() for each in (student.heads["token"], teacher.logits))
    parts = built("deit-soft")(student, teacher, batch(6), 0.5)
    assert parts["token"].value.item() == pytest.approx(9 * kl(softmax(logits, 3), softmax(token, 3)).mean(), rel=1e-4)


@pytest.mark.parametrize(("name", "weights"), [("deit-soft", (0.1, 0.9)), ("deit-hard", (0.5, 0.5))])
def test_the_class_head_alone_learns_the_labels_where_it_can_be_seen(name: str, weights: tuple[float, float]) -> None:
    student, teacher = output(SIDE, 6, 1), output(OTHER, 6, 2)
    method = built(name)
    parts = method(student, teacher, batch(6), 0.5)
    assert (parts["token"].weight, parts["ce_class"].weight) == weights and method.label_weight == 0
    expected = torch.nn.functional.cross_entropy(student.heads["class"], batch(6).target)
    assert parts["ce_class"].value.item() == pytest.approx(expected.item(), rel=1e-5)
    plain = load_method(name, (), {})
    join(name, plain, side(STUDENT_MAPS, ("token",)), OTHER)
    assert set(plain(student, teacher, batch(6), 0.5)) == {"token"} and plain.label_weight == weights[1]


@pytest.mark.parametrize("name", ["deit-soft", "deit-hard"])
def test_a_student_without_a_token_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="heads:token, which this student does not give"):
        join(name, load_method(name, (), {}), side(STUDENT_MAPS, ()), OTHER)
