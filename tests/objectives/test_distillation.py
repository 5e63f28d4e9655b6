import math
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.data.batch import Batch
from edgekd.methods.contract import Method, Part, Side
from edgekd.methods.kd import Kd, Options, kd_loss
from edgekd.methods.labels import LabelLoss, cross_entropy, label_loss
from edgekd.models.network import Network
from edgekd.models.network import Spec as NetworkSpec
from edgekd.models.outputs import Output
from edgekd.objectives.distillation import Distillation
from edgekd.objectives.objective import weighted_sum
from edgekd.objectives.supervised import Supervised


class Says:
    """A teacher that always says the same."""

    side = Side(2, frozenset({"logits"}))

    def __init__(self, logits: torch.Tensor) -> None:
        self.logits = logits

    def giving(self, needs: Collection[str]) -> "Says":
        return self

    def __call__(self, batch: Batch) -> Output:
        return Output(logits=self.logits)


@pytest.fixture
def student() -> Network:
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    return Network(backbone, NetworkSpec("toy", ("a", "b"), 3, 4, (0.5,) * 3, (0.25,) * 3))


def a_batch(targets: list[int]) -> Batch:
    canvas = torch.randint(0, 255, (len(targets), 4, 4, 3), dtype=torch.uint8)
    return Batch(canvas, torch.tensor(targets), np.arange(len(targets)), 0)


def distilled(student: Network, teacher: torch.Tensor, alpha: float | None) -> Distillation:
    return Distillation(student, Says(teacher), Kd(Options(4.0)), alpha)


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
    assert parts["kd"].value.item() == pytest.approx(kd_loss(logits, teacher, 4.0).item(), rel=1e-5)
    assert parts["ce"].value.item() == pytest.approx(cross_entropy(logits, batch.target, 0.0).item(), rel=1e-5)
    assert {name: (part.weight, part.over) for name, part in parts.items()} == {
        "kd": (0.3, "images"),
        "ce": (0.7, "labels"),
    }
    expected = 0.3 * parts["kd"].value + 0.7 * parts["ce"].value
    assert weighted_sum(parts).item() == pytest.approx(expected.item())


class Twice(Method):
    """A method of two parts with weights of their own."""

    label_weight = 2.0

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        return {"near": Part(student.logits.mean(), 3.0), "far": Part(student.logits.std(), 0.5, "batch")}


@pytest.mark.parametrize(
    ("alpha", "weights"),
    [(None, {"near": 3.0, "far": 0.5, "ce": 2.0}), (0.2, {"near": 0.6, "far": 0.1, "ce": 0.8})],
)
def test_parts_count_by_the_methods_weights_and_alpha_divides_the_whole(
    student: Network, alpha: float | None, weights: dict[str, float]
) -> None:
    parts = Distillation(student, Says(torch.zeros(2, 2)), Twice(), alpha)(a_batch([0, 1]), 0.0)
    assert {name: part.weight for name, part in parts.items()} == pytest.approx(weights)


def test_kd_counts_nine_times_the_labels_unless_asked_otherwise(student: Network) -> None:
    parts = distilled(student, torch.randn(2, 2), None)(a_batch([0, 1]), 0.0)
    assert {name: part.weight for name, part in parts.items()} == pytest.approx({"kd": 0.9, "ce": 0.1})


def test_with_alpha_one_labels_are_not_read(student: Network) -> None:
    assert set(distilled(student, torch.randn(2, 2), 1.0)(a_batch([-1, -1]), 0.0)) == {"kd"}


def test_the_teacher_is_not_part_of_what_is_trained_or_saved(student: Network) -> None:
    objective = distilled(student, torch.randn(2, 2), 0.5)
    assert {name.split(".")[0] for name in objective.state_dict()} == {"student"}
    assert len(list(objective.parameters())) == len(list(student.parameters()))


def test_labels_alone_are_plain_training(student: Network) -> None:
    batch = a_batch([0, 1])
    expected = cross_entropy(student(batch.canvas), batch.target, 0.1)
    assert Supervised(student, 0.1)(batch, 0.0)["ce"].value.item() == pytest.approx(expected.item())


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
    assert Supervised(student)(batch, 0.0)["ce"].value.item() == pytest.approx(expected, rel=1e-5)
    part = distilled(student, torch.randn(3, 2), 0.5)(batch, 0.0)["ce"]
    assert part.value.item() == pytest.approx(expected, rel=1e-5)


def test_class_weights_count_images_of_rare_classes_more(student: Network) -> None:
    weights = torch.tensor([0.5, 2.0])
    logits = torch.randn(4, 2)
    target = torch.tensor([0, 0, 1, -1])
    losses = -torch.log_softmax(logits, 1)
    expected = (0.5 * losses[0, 0] + 0.5 * losses[1, 0] + 2 * losses[2, 1]) / 3
    assert cross_entropy(logits, target, 0.0, weights).item() == pytest.approx(expected.item(), rel=1e-5)
    batch, labels = a_batch([0, 1, 1]), LabelLoss(0.0, weights)
    parts = Distillation(student, Says(torch.randn(3, 2)), Kd(Options(4.0)), labels=labels)(batch, 0.0)
    expected = cross_entropy(student(batch.canvas), batch.target, 0.0, weights)
    assert parts["ce"].value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert not any("class_weights" in name for name in Supervised(student, 0.0, weights).state_dict())


def test_class_weights_of_mixed_images_are_those_of_both_labels() -> None:
    weights = torch.tensor([0.5, 2.0, 1.0])
    logits, batch = torch.randn(1, 3), mixed_batch([0], [1], [0.25])
    losses = -torch.log_softmax(logits, 1)[0]
    expected = 0.25 * 0.5 * losses[0] + 0.75 * 2 * losses[1]
    assert label_loss(logits, batch, 0.0, weights).item() == pytest.approx(expected.item(), rel=1e-5)
