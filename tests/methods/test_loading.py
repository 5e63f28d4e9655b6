from pathlib import Path

import numpy as np
import pytest
import torch

import edgekd.methods
from edgekd.data.batch import Batch
from edgekd.errors import UsageError
from edgekd.methods import METHODS
from edgekd.methods.contract import Spec, View, lacking
from edgekd.methods.loading import check_needs, load_method

NOT_METHODS = {"__init__", "contract", "loading"}


def a_batch(count: int) -> Batch:
    return Batch(
        torch.zeros(count, 8, 8, 3, dtype=torch.uint8), torch.zeros(count, dtype=torch.int64), np.arange(count), 0
    )


def test_the_table_names_the_files() -> None:
    files = {path.stem for path in Path(edgekd.methods.__file__).parent.glob("*.py")} - NOT_METHODS
    assert files == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("count", [1, 5])
def test_a_method_sends_gradient_to_the_student_alone(name: str, count: int) -> None:
    method = load_method(name, (), {})
    student, teacher = torch.randn(count, 4, requires_grad=True), torch.randn(count, 4, requires_grad=True)
    method(View(logits=student), View(logits=teacher.detach()), a_batch(count), 0.5).backward()
    assert student.grad is not None and torch.isfinite(student.grad).all() and teacher.grad is None


def test_an_unknown_method_gets_the_nearest_name() -> None:
    with pytest.raises(UsageError) as caught:
        load_method("kdd", (), {})
    assert "kd" in caught.value.hint


def test_an_unknown_setting_gets_the_nearest_name() -> None:
    with pytest.raises(UsageError) as caught:
        load_method("kd", ("temprature=3",), {})
    assert caught.value.hint == "nearest: temperature"


def test_a_setting_wins_over_its_flag() -> None:
    assert load_method("kd", ("temperature=3",), {"temperature": 9.0}).temperature == 3.0  # type: ignore[attr-defined]


def test_a_setting_of_another_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="not float"):
        load_method("kd", ("temperature=hot",), {})


def test_what_a_teacher_does_not_give_is_named() -> None:
    method = load_method("kd", (), {})
    with pytest.raises(UsageError, match="logits"):
        check_needs("kd", method, Spec(3, frozenset({"logits"})), Spec(3, frozenset({"pooled"})))


def test_other_class_counts_are_refused() -> None:
    method, gives = load_method("kd", (), {}), frozenset({"logits"})
    with pytest.raises(UsageError, match="10 classes"):
        check_needs("kd", method, Spec(6, gives), Spec(10, gives))


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
    method.needs = frozenset({need})
    with pytest.raises(UsageError) as caught:
        check_needs("kd", method, Spec(3, frozenset({need})), Spec(3, frozenset({gives})))
    assert hint in caught.value.hint
