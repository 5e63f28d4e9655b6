"""The one check of values from outside, against Python's own annotations: options, TOML, manifests, profiles, JSON.

Besides plain types an annotation may be a Literal, a union, a list, tuple or dict of these, a TypedDict (further keys
stay), a dataclass (further keys are refused), and any of them Annotated with Limits.
"""

import math
import types
import typing
from copy import copy
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from edgekd.errors import EdgekdError, nearest

LARGEST = 2**63 - 1
"""Whole numbers beyond 64 bits overflow in numpy and torch."""
_LONGEST = 60
_TRUTHS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class Limits:
    """`low` and `high` are inclusive, `above` is not; of a list they limit the number of items."""

    low: float | None = None
    high: float | None = None
    above: float | None = None

    def hold(self, number: float) -> bool:
        """Whether a number keeps them."""
        too_low = (self.low is not None and number < self.low) or (self.above is not None and number <= self.above)
        return not too_low and not (self.high is not None and number > self.high)

    def __str__(self) -> str:
        if self.above is not None:
            return f"above {_shown_limit(self.above)}"
        low, high = (None if each is None else _shown_limit(each) for each in (self.low, self.high))
        if high is None:
            return f"at least {low}"
        return f"at most {high}" if low is None else f"from {low} to {high}"


def _shown_limit(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) or number.is_integer() else f"{number:g}"


Count = Annotated[int, Limits(1)]
Whole = Annotated[int, Limits(0)]
Positive = Annotated[float, Limits(above=0)]
Share = Annotated[float, Limits(0, 1)]


class Unfit(Exception):  # noqa: N818 - carries words to whoever knows which file or flag they are about
    """A value is not what its annotation says: `problem` names place and value, `hint` what would be right."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


def check(value: Any, hint: Any, source: object, error: type[EdgekdError], mend: str = "") -> Any:  # noqa: ANN401
    """`convert`, with `source` (a file, or words that end in a comma) before the words.

    Raises `error`, whose hint is `mend` where that is given.
    """
    try:
        return convert(value, hint)
    except Unfit as unfit:
        place = f"{source}" if str(source)[-1:] in ":," else f"{source}:"
        raise error(f"{place} {unfit.problem}", mend or unfit.hint) from unfit


def convert(value: Any, hint: Any, place: str = "") -> Any:  # noqa: ANN401
    """The value as its annotation says: whole numbers become floats, lists tuples, tables dataclasses.

    Raises Unfit for the first thing that is wrong, with its place such as `models[0].path`.
    """
    origin = typing.get_origin(hint)
    if hint is Any:
        return value
    if origin is Annotated:
        inner, *more = typing.get_args(hint)
        return _limited(value, convert(value, inner, place), more, place)
    if origin in (types.UnionType, typing.Union):
        return _one_of(value, typing.get_args(hint), place)
    if origin is Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise Unfit(_words(value, place, f"one of {', '.join(map(str, choices))}"), f"one of: {', '.join(choices)}")
        return value
    if origin in (list, tuple, dict) or hint is dict:
        return _container(value, origin, typing.get_args(hint), place)
    if typing.is_typeddict(hint):
        return _table(value, hint, place)
    return record(hint, value, place) if is_dataclass(hint) else _plain(value, hint, place)


def from_text(text: str, hint: Any, place: str = "") -> Any:  # noqa: ANN401
    """What a text of the command line says, converted as its annotation says; raises Unfit as `convert`."""
    if typing.get_origin(hint) is Annotated:
        inner, *more = typing.get_args(hint)
        return convert(from_text(text, inner, place), Annotated[inner, *more], place)
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        hint = next(each for each in typing.get_args(hint) if each is not types.NoneType)
    return convert(_meant(text, hint), hint, place)


def _meant(text: str, kind: Any) -> Any:  # noqa: ANN401
    """A number or a truth as such; anything else stays a text."""
    if kind is bool:
        return _TRUTHS.get(text.lower(), text)
    try:
        return kind(text) if kind in (int, float) else text
    except ValueError:
        return text


def record(kind: Any, table: Any, place: str = "") -> Any:  # noqa: ANN401
    """A dataclass from a table: no key may be unknown, and those without a default must be there."""
    _check_table(table, place)
    known = {each.name: each for each in fields(kind) if each.init}
    unknown = next((key for key in table if key not in known), None)
    if unknown is not None:
        raise Unfit(f"{_join(place, unknown)}: no such field", nearest(str(unknown), known))
    for name, each in known.items():
        if name not in table and each.default is MISSING and each.default_factory is MISSING:
            raise Unfit(f"{_join(place, name)} is missing", "add it")
    hints = typing.get_type_hints(kind, include_extras=True)
    return kind(**{name: convert(value, hints[name], _join(place, name)) for name, value in table.items()})


def _table(value: Any, kind: Any, place: str) -> Any:  # noqa: ANN401
    """A TypedDict: what it names is checked, anything else stays as it is."""
    _check_table(value, place)
    hints = typing.get_type_hints(kind, include_extras=True)
    missing = [key for key in hints if key in kind.__required_keys__ and key not in value]
    if missing:
        raise Unfit(f"{_join(place, missing[0])} is missing", "add it")
    found = copy(value)
    found.update({key: convert(value[key], _bare(hints[key]), _join(place, key)) for key in hints if key in value})
    return found


def _bare(hint: Any) -> Any:  # noqa: ANN401
    """`NotRequired[X]` as X."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) in (typing.NotRequired, typing.Required) else hint


def _check_table(value: Any, place: str) -> None:  # noqa: ANN401
    if not isinstance(value, dict):
        raise Unfit(_words(value, place, "a table"), "give a table of keys and values")


def _limited(given: Any, value: Any, more: list[Any], place: str) -> Any:  # noqa: ANN401
    for limits in more:
        is_number = isinstance(value, int | float)
        if isinstance(limits, Limits) and value is not None and not limits.hold(value if is_number else len(value)):
            what = f"a number {limits}" if is_number else f"a list of {limits}"
            raise Unfit(_words(given, place, what), f"give {what}")
    return value


def _one_of(value: Any, hints: tuple[Any, ...], place: str) -> Any:  # noqa: ANN401
    if value is None and type(None) in hints:
        return None
    first: Unfit | None = None
    for hint in hints:
        try:
            return convert(value, hint, place)
        except Unfit as unfit:
            first = first or unfit
    raise first or Unfit(_words(value, place, "null"), "leave it out")


def _container(value: Any, origin: Any, inner: tuple[Any, ...], place: str) -> Any:  # noqa: ANN401
    if origin is dict or origin is None:
        _check_table(value, place)
        kind = inner[1] if inner else Any
        if kind is Any:
            return value
        return {convert(key, str, place): convert(each, kind, _join(place, key)) for key, each in value.items()}
    if not isinstance(value, list | tuple):
        raise Unfit(_words(value, place, "a list"), "give a list")
    hints = [inner[0]] * len(value) if origin is list or inner[-1] is ... else list(inner)
    if len(hints) != len(value):
        raise Unfit(_words(value, place, f"a list of {len(hints)}"), f"give a list of {len(hints)}")
    pairs = zip(value, hints, strict=True)
    return origin(convert(each, hint, f"{place}[{number}]") for number, (each, hint) in enumerate(pairs))


def _plain(value: Any, kind: Any, place: str) -> Any:  # noqa: ANN401
    word, holds, make = _KINDS[kind]
    if not holds(value):
        raise Unfit(_words(value, place, word), f"give {word}")
    return make(value)


def _is_whole(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


def _is_number(value: Any) -> bool:  # noqa: ANN401
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _is_text(value: Any) -> bool:  # noqa: ANN401
    """NUL ends a name for the operating system, so no name or path may hold one."""
    return isinstance(value, str) and "\0" not in value


_KINDS: dict[Any, tuple[str, Any, Any]] = {
    bool: ("true or false", lambda value: isinstance(value, bool), bool),
    int: ("a whole number", _is_whole, int),
    float: ("a number", _is_number, float),
    str: ("a text", _is_text, str),
    Path: ("a path", lambda value: _is_text(value) or isinstance(value, Path), Path),
    types.NoneType: ("null", lambda value: value is None, lambda value: None),
}


def word_for(kind: Any) -> str:  # noqa: ANN401
    """What a plain type is called: `a whole number`."""
    return str(_KINDS[kind][0])


def _join(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)


def _words(value: Any, place: str, what: str) -> str:  # noqa: ANN401
    shown = str(value).lower() if isinstance(value, bool) else "null" if value is None else repr(value)
    shown = shown if len(shown) <= _LONGEST else shown[: _LONGEST - 3] + "..."
    return f"{place or 'it'} is {shown}, not {what}"
