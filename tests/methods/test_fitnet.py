import numpy as np
import pytest

from edgekd.errors import UsageError
from edgekd.methods.fitnet import FitNet, Options, hint_loss
from edgekd.methods.kd import kd_loss
from tests.methods.made_up import STUDENT, TEACHER, batch, built, output, total
from tests.methods.worked import maps, tensor


def test_a_value_in_float64() -> None:
    ours, theirs = maps(2, 3, 4, 1), maps(2, 3, 2, 2)
    expected = ((ours.reshape(2, 3, 2, 2, 2, 2).mean((3, 5)) - theirs) ** 2).mean()
    assert hint_loss(tensor(ours), tensor(theirs)).item() == pytest.approx(expected, rel=1e-4)


def test_the_last_but_one_stages_meet_through_the_regressor() -> None:
    method, student, teacher = built("fitnet"), output(STUDENT, 3, 1), output(TEACHER, 3, 2)
    assert method.student_needs == {"logits", "features:stage3"} and method.teacher_needs == {"features:stage2"}
    weight, bias = (each.detach().double().numpy() for each in method.regressor.parameters())
    ours, hint = (each.detach().double().numpy() for each in (student.features["stage3"], teacher.features["stage2"]))
    guess = np.einsum("oi,bihw->bohw", weight[:, :, 0, 0], ours) + bias[:, None, None]
    expected = ((guess - hint) ** 2).mean()
    assert method(student, teacher, batch(3), 0.5)["hint"].value.item() == pytest.approx(expected, rel=1e-4)


def test_two_stages_come_one_after_the_other() -> None:
    method, student, teacher = built("fitnet", "stages=2", "first=0.4"), output(STUDENT, 3, 1), output(TEACHER, 3, 2)
    assert student.logits is not None and teacher.logits is not None
    first, second = (method(student, teacher, batch(3), progress) for progress in (0.39, 0.4))
    assert total(first).item() == pytest.approx(first["hint"].value.item())
    assert total(second).item() == pytest.approx(kd_loss(student.logits, teacher.logits, 4.0).item(), rel=1e-5)
    assert (method.label_ramp(0.39), method.label_ramp(0.4), built("fitnet").label_ramp(0.0)) == (0.0, 1.0, 1.0)
    assert first.keys() == second.keys()


@pytest.mark.parametrize("options", [Options(stages=3), Options(weight=0.0), Options(first=1.5)])
def test_settings_out_of_range_are_refused(options: Options) -> None:
    with pytest.raises(UsageError, match="out of range"):
        FitNet(options)
