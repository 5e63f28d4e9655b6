"""Forms that JSON values from elsewhere must have: the first place that has not gets words.

A form is one of the words below, a dict of forms (more keys may be there), a list with the form of its items, or a
tuple of forms of which one must hold.
"""

import math
from collections.abc import Callable
from typing import Any

TEXT = "a text"
NUMBER = "a number"
POSITIVE = "a number above 0"
COUNT = "a whole number, at least 1"
SHARE = "a number from 0 to 1"
NOTHING = "null"
TABLE = "an object"

_LONGEST = 60


def _is_number(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_HOLDS: dict[str, Callable[[Any], bool]] = {
    TEXT: lambda value: isinstance(value, str),
    NUMBER: _is_number,
    POSITIVE: lambda value: _is_number(value) and value > 0,
    COUNT: lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1,
    SHARE: lambda value: _is_number(value) and 0 <= value <= 1,
    NOTHING: lambda value: value is None,
    TABLE: lambda value: isinstance(value, dict),
}


def fault(value: Any, form: Any, place: str = "") -> str | None:  # noqa: ANN401
    """Words on the first place where `value` has not the form, such as `models[0].path is missing`; else None."""
    if isinstance(form, dict):
        return _fault_of_dict(value, form, place)
    if isinstance(form, list):
        return _fault_of_list(value, form[0], place)
    if isinstance(form, tuple):
        faults = [fault(value, each, place) for each in form]
        return None if None in faults else faults[0]
    return None if _HOLDS[form](value) else _words(value, form, place)


def _fault_of_dict(value: Any, form: dict[str, Any], place: str) -> str | None:  # noqa: ANN401
    if not isinstance(value, dict):
        return _words(value, TABLE, place)
    for key, each in form.items():
        inner = f"{place}.{key}" if place else key
        if key not in value:
            return f"{inner} is missing"
        if found := fault(value[key], each, inner):
            return found
    return None


def _fault_of_list(value: Any, form: Any, place: str) -> str | None:  # noqa: ANN401
    if not isinstance(value, list) or not value:
        return _words(value, "a list of at least one", place)
    faults = (fault(each, form, f"{place}[{index}]") for index, each in enumerate(value))
    return next((found for found in faults if found), None)


def _words(value: Any, form: str, place: str) -> str:  # noqa: ANN401
    shown = repr(value)
    shown = shown if len(shown) <= _LONGEST else shown[: _LONGEST - 3] + "..."
    return f"{place or 'it'} is {shown}, not {form}"
