from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgekd.methods
from edgekd.data.batch import Batch
from edgekd.errors import UsageError
from edgekd.methods import METHODS
from edgekd.methods.contract import Side, lacking
from edgekd.methods.loading import check_needs, join, load_method
from edgekd.methods.sides import side_of
from edgekd.models.network import Network
from edgekd.models.network import Spec as NetworkSpec
from edgekd.objectives.distillation import Distillation
from edgekd.objectives.objective import weighted_sum
from edgekd.teachers.teacher import Live

NOT_METHODS = {"__init__", "contract", "loading", "sides"}


def a_batch(count: int) -> Batch:
    return Batch(
        torch.zeros(count, 8, 8, 3, dtype=torch.uint8), torch.zeros(count, dtype=torch.int64), np.arange(count), 0
    )


def test_the_table_names_the_files() -> None:
    files = {path.stem for path in Path(edgekd.methods.__file__).parent.glob("*.py")} - NOT_METHODS
    assert files == set(METHODS)


class Tapped(nn.Module):
    """A network of two stages and the usual end."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stage1 = nn.Conv2d(3, width, 3, 2, padding=1)
        self.stage2 = nn.Conv2d(width, 2 * width, 3, 2, padding=1)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(2 * width, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.pool(self.stage2(self.stage1(images).relu()).relu()))


def a_network(width: int) -> Network:
    return Network(Tapped(width), NetworkSpec("tapped", tuple("abcd"), 3, 8, (0.5,) * 3, (0.25,) * 3))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("count", [1, 5])
def test_a_method_sends_gradient_to_the_student_alone(name: str, count: int) -> None:
    torch.manual_seed(0)
    method, student, teacher = load_method(name, (), {}), a_network(4), Live(a_network(6), samples=9)
    join(name, method, side_of(student, 9), teacher.side)
    objective = Distillation(student, teacher, method)
    weighted_sum(objective(a_batch(count), 0.5)).backward()
    gradients = [each.grad for each in student.parameters() if each.grad is not None]
    assert gradients and all(torch.isfinite(each).all() for each in gradients)
    assert all(each.grad is None for each in teacher.network.parameters())


def test_an_unknown_method_gets_the_nearest_name() -> None:
    with pytest.raises(UsageError) as caught:
        load_method("kdd", (), {})
    assert "kd" in caught.value.hint


def test_an_unknown_setting_gets_the_nearest_name() -> None:
    with pytest.raises(UsageError) as caught:
        load_method("kd", ("temprature=3",), {})
    assert caught.value.hint == "nearest: temperature"


def test_a_setting_wins_over_its_flag() -> None:
    assert load_method("kd", ("temperature=3",), {"temperature": 9.0}).temperature == 3.0
    assert load_method("kd", (), {"temperature": None}).temperature == 4.0


def test_a_setting_of_another_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="not float"):
        load_method("kd", ("temperature=hot",), {})


def test_what_a_teacher_does_not_give_is_named() -> None:
    method = load_method("kd", (), {})
    with pytest.raises(UsageError, match="logits"):
        check_needs("kd", method, Side(3, frozenset({"logits"})), Side(3, frozenset({"pooled"})))


def test_other_class_counts_are_refused() -> None:
    method, gives = load_method("kd", (), {}), frozenset({"logits"})
    with pytest.raises(UsageError, match="10 classes"):
        join("kd", method, Side(6, gives), Side(10, gives))


def test_one_of_two_alternatives_is_enough() -> None:
    assert lacking({"logits|logits:topk"}, {"logits:topk"}) == []
    assert lacking({"logits|logits:topk", "pooled"}, {"logits"}) == ["pooled"]


@pytest.mark.parametrize(
    ("need", "gives", "hint"),
    [
        ("logits", "logits:topk", "--store u8"),
        ("features:layer3", "logits", "--columns map:layer3"),
        ("pooled", "logits", "--columns pooled"),
    ],
)
def test_what_a_cache_lacks_comes_with_the_way_on(need: str, gives: str, hint: str) -> None:
    method = load_method("kd", (), {})
    method.teacher_needs = frozenset({need})
    with pytest.raises(UsageError) as caught:
        check_needs("kd", method, Side(3, frozenset({"logits"})), Side(3, frozenset({gives})))
    assert hint in caught.value.hint
