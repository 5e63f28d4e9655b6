from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from edgekd.errors import UsageError
from edgekd.methods.contract import Side
from edgekd.methods.early_exits import hint_loss
from edgekd.methods.exits import Exit, halvings_to
from edgekd.methods.loading import join, load_method
from edgekd.models.outputs import Output
from tests.methods.made_up import CLASSES, STUDENT, batch, built, output, side


def test_features_by_their_squared_distance() -> None:
    assert hint_loss(torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 4.0]])).item() == 10.5


def test_no_teacher_is_asked() -> None:
    method = load_method("early-exits", (), {})
    join("early-exits", method, STUDENT, Side(CLASSES, frozenset()))
    parts = method(output(STUDENT, 4, 1), Output(), batch(4), 0.5)
    assert {name: part.weight for name, part in parts.items()} == {"ce_exits": 0.7, "kd_exits": 0.3, "hint": 0.03}


def test_branches_learn_from_labels_and_from_the_deepest_classifier() -> None:
    method, student = built("early-exits").eval(), output(STUDENT, 4, 1)
    rows = [branch(student.features[tap])[0] for branch, tap in zip(method.exits, method.taps, strict=True)]
    assert student.logits is not None
    final = F.softmax(student.logits / 3, 1)
    answers = sum((final * (final.log() - F.log_softmax(each / 3, 1))).sum(1).mean() for each in rows)
    parts = method(student, Output(), batch(4), 0.5)
    assert parts["ce_exits"].value.item() == pytest.approx(
        sum(F.cross_entropy(each, batch(4).target).item() for each in rows), rel=1e-4
    )
    assert parts["kd_exits"].value.item() == pytest.approx(answers.item(), rel=1e-4)  # type: ignore[union-attr]
    (parts["kd_exits"].value + parts["hint"].value).backward()
    assert student.logits.grad is None and student.pooled is not None and student.pooled.grad is None


def test_a_student_of_one_stage_is_refused() -> None:
    with pytest.raises(UsageError, match="single stage"):
        join("early-exits", load_method("early-exits", (), {}), side({"stage1": (4, 2, 2)}), STUDENT)


def test_a_student_without_stages_is_refused() -> None:
    with pytest.raises(UsageError, match="no stages"):
        join("early-exits", load_method("early-exits", (), {}), replace(STUDENT, stages=()), STUDENT)


@pytest.mark.parametrize(("size", "count"), [((8, 8), 2), ((2, 2), 0), ((7, 5), 2), ((1, 1), 0)])
def test_branches_halve_to_the_size_of_the_last_stage(size: tuple[int, int], count: int) -> None:
    assert halvings_to(size, (2, 2)) == count
    branch = Exit(3, 8, CLASSES, count)
    logits, features = branch(torch.randn(2, 3, *size))
    assert logits.shape == (2, CLASSES) and features.shape == (2, 8)
