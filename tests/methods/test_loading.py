import pytest

from edgekd.errors import UsageError
from edgekd.methods.contract import Side, lacking
from edgekd.methods.loading import check_needs, join, load_method


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
    with pytest.raises(UsageError, match="not a number"):
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
