"""From a method's name and its `--set` settings to the method, checked against what the teacher gives."""

import importlib
import typing
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from edgekd.errors import UsageError, nearest
from edgekd.methods import METHODS
from edgekd.methods.contract import Method, Spec, lacking


def load_method(name: str, settings: tuple[str, ...], defaults: Mapping[str, Any]) -> Method:
    """The method with its settings; `defaults` are options that have flags of their own, such as temperature.

    Raises UsageError for an unknown method or setting, with the nearest names.
    """
    if name not in METHODS:
        raise UsageError(f"--method {name}: no such method", nearest(name, METHODS))
    module = importlib.import_module(f"edgekd.methods.{name}")
    names = {each.name for each in fields(module.Options)}
    chosen = {key: value for key, value in defaults.items() if key in names}
    for setting in settings:
        key, _, text = setting.partition("=")
        if key not in names:
            raise UsageError(f"--set {setting}: method {name} has no setting {key!r}", nearest(key, names))
        chosen[key] = _parsed(text, typing.get_type_hints(module.Options)[key], setting)
    method: Method = module.create(module.Options(**chosen))
    return method


def _parsed(text: str, kind: type, setting: str) -> Any:  # noqa: ANN401
    try:
        return text in ("1", "true", "yes", "on") if kind is bool else kind(text)
    except ValueError as error:
        raise UsageError(f"--set {setting}: not {kind.__name__}", f"give a value of type {kind.__name__}") from error


def _way_on(need: str, spec: Spec) -> str:
    if need.startswith("logits") and "logits:topk" in spec.gives:
        return "a cache of all logits does: edgekd cache-logits --store u8 --name NAME; or choose another method"
    if need == "pooled" or need.startswith("features:"):
        column = need.replace("features:", "map:")
        return f"a cache with that column does: edgekd cache-logits --columns {column} --name NAME"
    return "choose another method"


def check_needs(name: str, method: Method, student: Spec, teacher: Spec) -> None:
    """Raise UsageError when the method needs what the teacher or the student does not give."""
    for whose, spec in (("teacher", teacher), ("student", student)):
        missing = lacking(method.needs, spec.gives)
        if missing:
            raise UsageError(
                f"--method {name} needs {', '.join(each.replace('|', ' or ') for each in missing)}, "
                f"which this {whose} does not give",
                _way_on(missing[0], spec),
            )
    if student.classes != teacher.classes:
        raise UsageError(
            f"the teacher knows {teacher.classes} classes, the student {student.classes}",
            "teacher and student must be trained on the same classes",
        )
