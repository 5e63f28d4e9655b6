"""Values from elsewhere against the form they must have."""

from typing import Any

import pytest

from edgekd.profiling.forms import COUNT, NOTHING, NUMBER, POSITIVE, SHARE, TABLE, TEXT, fault

FORM = {"name": TEXT, "models": [{"size": COUNT, "peak": (POSITIVE, NOTHING)}]}


def good() -> dict[str, Any]:
    return {"name": "a", "models": [{"size": 1, "peak": None}, {"size": 2, "peak": 0.5}], "more": "is welcome"}


def test_what_fits_has_no_fault() -> None:
    assert fault(good(), FORM) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "it is [], not an object"),
        ({"models": []}, "name is missing"),
        (good() | {"name": 3}, "name is 3, not a text"),
        (good() | {"models": []}, "models is [], not a list of at least one"),
        (good() | {"models": [{"size": 1}]}, "models[0].peak is missing"),
        (good() | {"models": [good()["models"][0], {"size": 1, "peak": -1}]}, "models[1].peak is -1, not a number ab"),
    ],
)
def test_the_first_fault_is_named_with_its_place(value: object, words: str) -> None:
    assert (fault(value, FORM) or "").startswith(words)


@pytest.mark.parametrize(
    ("form", "wrong"),
    [
        (TEXT, [1, None]),
        (NUMBER, ["1", True, float("nan"), float("inf")]),
        (POSITIVE, [0, -1.5]),
        (COUNT, [0, 1.0, True]),
        (SHARE, [-0.1, 1.1]),
        (TABLE, [[], "x"]),
    ],
)
def test_every_word_refuses_other_values(form: str, wrong: list[object]) -> None:
    assert all(fault(value, form, "x") for value in wrong)


def test_a_long_value_is_cut() -> None:
    assert len(fault("x" * 9999, NUMBER, "it") or "") < 100
