import math

import pytest
import torch
import torch.nn.functional as F

from edgekd.errors import UsageError
from edgekd.methods.kd import Kd, Options, kd_loss


def test_equal_logits_cost_nothing() -> None:
    logits = torch.randn(5, 7)
    assert kd_loss(logits, logits, 4.0).item() == pytest.approx(0, abs=1e-6)


def test_a_value_worked_out_by_hand() -> None:
    # teacher (1/4, 3/4), student (1/2, 1/2) at T=1: 1/4 ln(1/2) + 3/4 ln(3/2)
    teacher = torch.tensor([[0.0, math.log(3.0)]])
    loss = kd_loss(torch.zeros(1, 2), teacher, 1.0)
    assert loss.item() == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5), abs=1e-6)


def test_temperature_divides_the_logits_and_multiplies_the_loss() -> None:
    student, teacher = torch.randn(4, 3), torch.randn(4, 3)
    assert kd_loss(student, teacher, 5.0).item() == pytest.approx(
        25 * kd_loss(student / 5, teacher / 5, 1.0).item(), rel=1e-5
    )


def test_it_is_the_mean_over_the_batch() -> None:
    student, teacher = torch.randn(4, 3), torch.randn(4, 3)
    twice = kd_loss(student.repeat(2, 1), teacher.repeat(2, 1), 2.0)
    assert twice.item() == pytest.approx(kd_loss(student, teacher, 2.0).item(), rel=1e-5)


def test_the_teacher_is_the_first_argument_of_the_divergence() -> None:
    student, teacher = torch.randn(6, 4), torch.randn(6, 4)
    p, q = F.softmax(teacher, 1), F.softmax(student, 1)
    assert kd_loss(student, teacher, 1.0).item() == pytest.approx((p * (p / q).log()).sum(1).mean().item(), rel=1e-4)


def test_half_precision_logits_do_not_overflow() -> None:
    student = torch.full((1, 2), 3e4, dtype=torch.float16)
    assert torch.isfinite(kd_loss(student, -student, 1.0))


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(UsageError, match="temperature"):
        Kd(Options(temperature=0.0))
