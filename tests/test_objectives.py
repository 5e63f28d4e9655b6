import math

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.data.batch import Batch
from edgekd.methods.contract import Spec, View
from edgekd.methods.kd import Kd, Options, kd_loss
from edgekd.models.network import Network
from edgekd.models.network import Spec as NetworkSpec
from edgekd.objectives import Distillation, Supervised, cross_entropy


class Says:
    """A teacher that always says the same."""

    spec = Spec(2, frozenset({"logits"}))

    def __init__(self, logits: torch.Tensor) -> None:
        self.logits = logits

    def __call__(self, batch: Batch) -> View:
        return View(logits=self.logits)


@pytest.fixture
def student() -> Network:
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    return Network(backbone, NetworkSpec("toy", ("a", "b"), 3, 4, (0.5,) * 3, (0.25,) * 3))


def a_batch(targets: list[int]) -> Batch:
    canvas = torch.randint(0, 255, (len(targets), 4, 4, 3), dtype=torch.uint8)
    return Batch(canvas, torch.tensor(targets), np.arange(len(targets)), 0)


def distilled(student: Network, teacher: torch.Tensor, alpha: float) -> Distillation:
    return Distillation(student, Says(teacher), Kd(Options(4.0)), (alpha, 0.0))


def test_cross_entropy_of_even_logits_is_the_logarithm_of_the_classes() -> None:
    assert cross_entropy(torch.zeros(3, 4), torch.tensor([0, 1, 2]), 0.0).item() == pytest.approx(math.log(4))


def test_unlabelled_images_are_masked() -> None:
    logits = torch.randn(3, 4)
    some = cross_entropy(logits, torch.tensor([1, -1, 2]), 0.1)
    assert some.item() == pytest.approx(cross_entropy(logits[[0, 2]], torch.tensor([1, 2]), 0.1).item(), rel=1e-6)


def test_a_batch_without_labels_costs_nothing() -> None:
    assert cross_entropy(torch.randn(2, 4), torch.tensor([-1, -1]), 0.0).item() == 0


def test_alpha_weighs_teacher_against_labels(student: Network) -> None:
    teacher, batch = torch.randn(3, 2), a_batch([0, 1, 0])
    parts = distilled(student, teacher, 0.3)(batch, 0.0)
    logits = student(batch.canvas)
    assert parts["kd"].item() == pytest.approx(0.3 * kd_loss(logits, teacher, 4.0).item(), rel=1e-5)
    assert parts["ce"].item() == pytest.approx(0.7 * cross_entropy(logits, batch.target, 0.0).item(), rel=1e-5)


def test_with_alpha_one_labels_are_not_read(student: Network) -> None:
    assert set(distilled(student, torch.randn(2, 2), 1.0)(a_batch([-1, -1]), 0.0)) == {"kd"}


def test_the_teacher_is_not_part_of_what_is_trained_or_saved(student: Network) -> None:
    objective = distilled(student, torch.randn(2, 2), 0.5)
    assert {name.split(".")[0] for name in objective.state_dict()} == {"student"}
    assert len(list(objective.parameters())) == len(list(student.parameters()))


def test_labels_alone_are_plain_training(student: Network) -> None:
    batch = a_batch([0, 1])
    expected = cross_entropy(student(batch.canvas), batch.target, 0.1)
    assert Supervised(student, 0.1)(batch, 0.0)["ce"].item() == pytest.approx(expected.item())
