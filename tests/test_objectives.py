import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.data.batch import Batch
from edgekd.methods.contract import Spec, View
from edgekd.methods.kd import Kd, Options, kd_loss
from edgekd.models.network import Network
from edgekd.models.network import Spec as NetworkSpec
from edgekd.objectives import Distillation, Supervised, cross_entropy, label_loss


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


def mixed_batch(targets: list[int], partners: list[int], shares: list[float]) -> Batch:
    return replace(a_batch(targets), partner_target=torch.tensor(partners), share=torch.tensor(shares))


def test_a_mixed_image_has_two_labels_by_share() -> None:
    logits = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    each = torch.logsumexp(logits, 1, keepdim=True) - logits
    expected = (0.25 * each[0, 0] + 0.75 * each[0, 1] + 1.0 * each[1, 1]) / 2
    batch = mixed_batch([0, 1], [1, 0], [0.25, 1.0])
    assert label_loss(logits, batch, 0.0).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_whole_share_is_the_own_label_alone(smoothing: float) -> None:
    logits, targets = torch.randn(4, 3), [0, 2, -1, 1]
    batch = mixed_batch(targets, [1, -1, 2, 0], [1.0] * 4)
    expected = cross_entropy(logits, torch.tensor(targets), smoothing)
    assert label_loss(logits, batch, smoothing).item() == pytest.approx(expected.item(), rel=1e-6)


def test_an_unknown_label_drops_only_its_own_term() -> None:
    logits = torch.randn(3, 4)
    each = torch.logsumexp(logits, 1, keepdim=True) - logits
    batch = mixed_batch([2, -1, 3], [-1, 1, 0], [0.75, 0.5, 0.5])
    terms = 0.75 * each[0, 2] + 0.5 * each[1, 1] + 0.5 * each[2, 3] + 0.5 * each[2, 0]
    assert label_loss(logits, batch, 0.0).item() == pytest.approx(terms.item() / 2.25, rel=1e-5)


def test_a_trace_of_a_label_does_not_count_as_a_whole_one() -> None:
    logits = torch.randn(2, 4)
    batch = mixed_batch([-1, -1], [1, -1], [0.9, 0.5])
    expected = 0.1 * cross_entropy(logits[:1], torch.tensor([1]), 0.0)
    assert label_loss(logits, batch, 0.0).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_mixed_batch_without_labels_costs_nothing() -> None:
    logits = torch.randn(2, 4, requires_grad=True)
    loss = label_loss(logits, mixed_batch([-1, -1], [-1, -1], [0.3, 0.6]), 0.1)
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any()


def test_objectives_use_the_labels_of_mixed_images(student: Network) -> None:
    batch = mixed_batch([0, 1, 1], [1, 1, 0], [0.5, 1.0, 0.0])
    expected = label_loss(student(batch.canvas), batch, 0.0).item()
    assert Supervised(student)(batch, 0.0)["ce"].item() == pytest.approx(expected, rel=1e-5)
    assert distilled(student, torch.randn(3, 2), 0.5)(batch, 0.0)["ce"].item() == pytest.approx(expected / 2, rel=1e-5)


def test_class_weights_count_images_of_rare_classes_more(student: Network) -> None:
    weights = torch.tensor([0.5, 2.0])
    logits = torch.randn(4, 2)
    target = torch.tensor([0, 0, 1, -1])
    losses = -torch.log_softmax(logits, 1)
    expected = (0.5 * losses[0, 0] + 0.5 * losses[1, 0] + 2 * losses[2, 1]) / 3
    assert cross_entropy(logits, target, 0.0, weights).item() == pytest.approx(expected.item(), rel=1e-5)
    batch = a_batch([0, 1, 1])
    plain = Distillation(student, Says(torch.randn(3, 2)), Kd(Options(4.0)), (0.5, 0.0), weights)(batch, 0.0)
    expected = 0.5 * cross_entropy(student(batch.canvas), batch.target, 0.0, weights)
    assert plain["ce"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert "class_weights" not in Supervised(student, 0.0, weights).state_dict()


def test_class_weights_of_mixed_images_are_those_of_both_labels() -> None:
    weights = torch.tensor([0.5, 2.0, 1.0])
    logits, batch = torch.randn(1, 3), mixed_batch([0], [1], [0.25])
    losses = -torch.log_softmax(logits, 1)[0]
    expected = 0.25 * 0.5 * losses[0] + 0.75 * 2 * losses[1]
    assert label_loss(logits, batch, 0.0, weights).item() == pytest.approx(expected.item(), rel=1e-5)
