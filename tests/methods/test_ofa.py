import numpy as np
import pytest
import torch

from edgekd.methods.ofa import ofa_loss
from tests.methods.made_up import STUDENT as SIDE
from tests.methods.made_up import TEACHER as OTHER
from tests.methods.made_up import batch, built, output
from tests.methods.worked import STUDENT, TARGET, TEACHER, softmax, tensor


@pytest.mark.parametrize("gamma", [1.0, 1.4])
def test_a_value_in_float64(gamma: float) -> None:
    p, q = softmax(TEACHER), softmax(STUDENT)
    expected = []
    for i, target in enumerate(TARGET):
        wanted = [(1 + p[i, c]) ** gamma - 1 if c == target else p[i, c] ** gamma for c in range(4)]
        expected.append(-sum(w * np.log(q[i, c]) for c, w in enumerate(wanted)))
    found = ofa_loss(tensor(STUDENT), tensor(TEACHER), torch.from_numpy(TARGET), gamma, 1.0)
    assert found.numpy() == pytest.approx(np.array(expected), rel=1e-4)


def test_every_stage_has_a_branch_and_the_teacher_gives_logits_alone() -> None:
    method = built("ofa")
    assert len(method.exits) == 4 and method.teacher_needs == {"logits"}
    parts = method(output(SIDE, 4, 1), output(OTHER, 4, 2), batch(4), 0.5)
    assert set(parts) == {"exits", "final"}
