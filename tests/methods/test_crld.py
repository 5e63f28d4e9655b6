import numpy as np
import pytest

from edgekd.methods.crld import is_sure
from tests.methods.made_up import STUDENT as SIDE
from tests.methods.made_up import TEACHER as OTHER
from tests.methods.made_up import batch, built, output
from tests.methods.worked import TEACHER, kl, softmax, tensor


def test_the_teacher_is_sure_from_the_threshold_on() -> None:
    assert (softmax(TEACHER).max(1) > 0.73).tolist() == [True, True, False]
    assert is_sure(tensor(TEACHER), 0.73).tolist() == [1, 1, 0]


def test_within_and_across_the_views() -> None:
    student, teacher = output(SIDE, 6, 1), output(OTHER, 6, 2)
    assert student.strong is not None and teacher.strong is not None
    logits = [each.logits for each in (student, student.strong, teacher, teacher.strong)]
    sw, ss, tw, ts = (each.detach().double().numpy() for each in logits if each is not None)

    def apart(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
        return 16 * kl(softmax(theirs, 4), softmax(ours, 4))

    within = ((apart(sw, tw) + apart(ss, ts)) * (softmax(tw).max(1) >= 0.5)).mean()
    cross = ((apart(ss, tw) + apart(sw, ts)) * (softmax(ts).max(1) >= 0.4)).mean()
    parts = built("crld", "sure_weak=0.5", "sure_strong=0.4")(student, teacher, batch(6), 0.5)
    assert parts["within"].value.item() == pytest.approx(within, rel=1e-4)
    assert parts["cross"].value.item() == pytest.approx(cross, rel=1e-4)
    assert (parts["within"].weight, parts["cross"].weight, parts["ce_strong"].weight) == (2.0, 0.5, 1.0)
