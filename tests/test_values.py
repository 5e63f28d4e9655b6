"""Values from elsewhere against annotations: what fits is converted, the first thing that does not is named."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest

from edgekd.errors import ConfigError
from edgekd.values import Count, Limits, Positive, Share, Unfit, check, convert, from_text


class Entry(TypedDict):
    size: Count
    peak: Positive | None
    note: NotRequired[str]


class Report(TypedDict):
    name: str
    models: Annotated[list[Entry], Limits(1)]


@dataclass(frozen=True)
class Board:
    cores: Count
    isa: tuple[str, ...] = ()
    memory: float | None = None


def good() -> dict[str, Any]:
    return {"name": "a", "models": [{"size": 1, "peak": None}, {"size": 2, "peak": 0.5}], "more": "is kept"}


def test_what_fits_stays_as_it_is() -> None:
    assert convert(good(), Report) == good()


def test_whole_numbers_become_floats_lists_tuples_and_tables_dataclasses() -> None:
    found = convert({"cores": 4, "isa": ["neon"], "memory": 8}, Board)
    assert found == Board(4, ("neon",), 8.0) and isinstance(found.memory, float)
    assert convert(["a", 1], tuple[str, int]) == ("a", 1) and convert("x/y", Path) == Path("x/y")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "it is [], not a table"),
        ({"models": []}, "name is missing"),
        (good() | {"name": 3}, "name is 3, not a text"),
        (good() | {"name": None}, "name is null, not a text"),
        (good() | {"name": "a\0b"}, "name is 'a\\x00b', not a text"),
        (good() | {"models": []}, "models is [], not a list of at least 1"),
        (good() | {"models": [{"size": 1}]}, "models[0].peak is missing"),
        (good() | {"models": [good()["models"][0], {"size": 1, "peak": -1}]}, "models[1].peak is -1, not a number ab"),
        (good() | {"models": [{"size": 1, "peak": None, "note": 1}]}, "models[0].note is 1, not a text"),
    ],
)
def test_the_first_fault_is_named_with_its_place(value: object, words: str) -> None:
    with pytest.raises(Unfit) as caught:
        convert(value, Report)
    assert caught.value.problem.startswith(words)


@pytest.mark.parametrize(
    ("hint", "wrong"),
    [
        (str, [1, None]),
        (float, ["1", True, float("nan"), float("inf"), 10**400]),
        (int, [1.0, True, 2**63]),
        (Positive, [0, -1.5]),
        (Count, [0, 1.0, True]),
        (Share, [-0.1, 1.1]),
        (dict[str, int], [[], "x", {"a": "b"}]),
        (tuple[str, str], [["a"], ["a", "b", "c"], "ab"]),
        (Literal["a", "b"], ["c", 1, [], {}]),
        (int | None, ["x"]),
    ],
)
def test_every_kind_refuses_other_values(hint: object, wrong: list[object]) -> None:
    for value in wrong:
        with pytest.raises(Unfit):
            convert(value, hint, "x")


@pytest.mark.parametrize(
    ("table", "words"),
    [({"cores": 4, "isas": []}, "isas: no such field"), ({}, "cores is missing"), (3, "it is 3, not")],
)
def test_a_dataclass_takes_its_own_fields_only(table: object, words: str) -> None:
    with pytest.raises(ConfigError, match=f"board.toml: {words}"):
        check(table, Board, "board.toml", ConfigError)


def test_a_long_value_is_cut() -> None:
    with pytest.raises(Unfit) as caught:
        convert("x" * 9999, float, "it")
    assert len(caught.value.problem) < 100


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [("3", int, 3), ("1e-3", float, 0.001), ("Off", bool, False), ("stage1", str, "stage1"), ("2", int | None, 2)],
)
def test_a_text_is_what_its_annotation_says(text: str, hint: object, value: object) -> None:
    found = from_text(text, hint)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "hint", "words"),
    [
        ("nan", float, "--set a is nan, not a number"),
        ("9" * 5000, int, "not a whole number"),
        ("3", Literal["x", "y"], "--set a is '3', not one of x, y"),
        ("maybe", bool, "--set a is 'maybe', not true or false"),
        ("0", Annotated[int, Limits(1)], "--set a is 0, not a number at least 1"),
    ],
)
def test_a_text_that_says_something_else_is_unfit(text: str, hint: object, words: str) -> None:
    with pytest.raises(Unfit, match=re.escape(words)):
        from_text(text, hint, "--set a")
