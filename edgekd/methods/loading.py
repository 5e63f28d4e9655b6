"""From a method's name and its `--set` settings to the method, checked against what both sides give."""

import importlib
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

from edgekd.config import Code
from edgekd.declaration import choices_of, plain_type
from edgekd.errors import CheckpointError, UsageError, nearest
from edgekd.methods import METHODS
from edgekd.methods.contract import Method, Side, lacking
from edgekd.models.outputs import FEATURES, HEADS, LOGITS, POOLED, PREFIX, TAIL, TOPK_LOGITS
from edgekd.models.ownfile import load_own, own_sum
from edgekd.models.taps import column_of


def is_own_method(name: str) -> bool:
    """Whether the name is a Python file of the user's."""
    return name.endswith(".py")


def load_method(
    name: str,
    settings: tuple[str, ...],
    defaults: Mapping[str, Any],
    code: Code | None = None,
    recorded: str | None = None,
) -> Method:
    """The method with its settings; `defaults` are options that have flags of their own, such as temperature.

    `name` is one of the table or `./mine.py`, a file like those here: a dataclass `Options` and `create(options)`. The
    file runs only when `code`, the command's options, names it, or trusts it and its SHA-256 is the `recorded` one.
    Raises UsageError for an unknown method or setting, with the nearest names, CheckpointError for a file that is not
    as it should be.
    """
    module = _own_module(Path(name), recorded, code or Code()) if is_own_method(name) else _module(name)
    known = {each.name for each in fields(module.Options)}
    chosen = {key: value for key, value in defaults.items() if key in known and value is not None}
    hints = typing.get_type_hints(module.Options)
    for setting in settings:
        key, _, text = setting.partition("=")
        if key not in known:
            raise UsageError(f"--set {setting}: method {name} has no setting {key!r}", nearest(key, known))
        chosen[key] = _parsed(text, hints[key], setting)
    method: Method = module.create(module.Options(**chosen))
    return method


def method_sum(name: str) -> str | None:
    """SHA-256 of the user's own method file; None for a method of edgekd's."""
    return own_sum(name) if is_own_method(name) else None


def _module(name: str) -> Any:  # noqa: ANN401
    if name not in METHODS:
        raise UsageError(f"--method {name}: no such method", f"{nearest(name, METHODS)}; ./mine.py is a file of yours")
    return importlib.import_module("edgekd.methods." + name.replace("-", "_"))


def _own_module(path: Path, recorded: str | None, code: Code) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"--method {path}: no such file", "give a method's name or a Python file, ./mine.py")
    path = path.resolve()
    module = load_own(path, own_sum(str(path)) if code.is_named(path) else recorded, code)
    for part, what in (("Options", "a dataclass of its settings"), ("create", "create(options) gives the method")):
        if not callable(getattr(module, part, None)):
            raise CheckpointError(f"{path}: has no {part} ({what})", "edgekd/methods/kd.py is an example")
    return module


def _parsed(text: str, hint: Any, setting: str) -> Any:  # noqa: ANN401
    kind = plain_type(hint)
    choices = choices_of(kind)
    if choices:
        if text not in choices:
            raise UsageError(f"--set {setting}: no such choice", f"one of: {', '.join(choices)}")
        return text
    try:
        return _truth(text) if kind is bool else kind(text)
    except ValueError as error:
        raise UsageError(f"--set {setting}: not {kind.__name__}", f"give a value of type {kind.__name__}") from error


def _truth(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]


def join(name: str, method: Method, student: Side, teacher: Side) -> None:
    """Check that both sides have what the method needs, and build it; once, before any batch.

    Raises UsageError when a side lacks something: which side, what, and what would give it.
    """
    if student.classes != teacher.classes:
        raise UsageError(
            f"the teacher knows {teacher.classes} classes, the student {student.classes}",
            "teacher and student must be trained on the same classes",
        )
    check_needs(name, method, student, teacher)
    method.build(student, teacher)
    check_needs(name, method, student, teacher)


def check_needs(name: str, method: Method, student: Side, teacher: Side) -> None:
    """Raise UsageError when the method needs what the teacher or the student does not give."""
    sides: tuple[tuple[str, Side, frozenset[str], Callable[[str, Side, str], str]], ...] = (
        ("teacher", teacher, method.teacher_needs, _teachers_way),
        ("student", student, method.student_needs, _students_way),
    )
    for whose, side, needs, way in sides:
        missing = lacking(needs, side.gives)
        if missing:
            raise UsageError(
                f"--method {name} needs {', '.join(each.replace('|', ' or ') for each in missing)}, "
                f"which this {whose} does not give",
                way(missing[0], side, name),
            )


def _teachers_way(need: str, side: Side, name: str) -> str:
    """What would make the teacher give it."""
    if need.startswith(LOGITS) and TOPK_LOGITS in side.gives:
        return "a cache of all logits does: edgekd cache-logits --store u8 --name NAME; or choose another method"
    if side.stages and need.startswith(FEATURES) and any(each.startswith(FEATURES) for each in side.gives):
        return f"{_students_way(need, side, name)}; or a cache with it: edgekd cache-logits --for {name} --name NAME"
    if need == POOLED or need.startswith((FEATURES, PREFIX, HEADS)):
        return (
            f"a cache with that column does: edgekd cache-logits --columns {column_of(need)} --name NAME "
            f"(--for {name} finds the columns by itself); or --live"
        )
    if need == TAIL:
        return (
            "one teacher whose run is there, a transformer, a mixer or a network of stages: with --live, or through "
            f"a cache made by edgekd cache-logits --for {name}"
        )
    return "choose another method"


def _students_way(need: str, side: Side, name: str) -> str:
    """What the network has instead."""
    kind = need.partition(":")[0]
    same = sorted(each for each in side.gives if each.startswith(f"{kind}:"))
    if kind == FEATURES.rstrip(":") and side.stages:
        return f"it has {', '.join(side.stages)}, and the paths of its modules"
    return f"it has {', '.join(same)}" if same else f"choose another model, or another method than {name}"
