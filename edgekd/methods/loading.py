"""From a method's name and its `--set` settings to the method, checked against what both sides give."""

import importlib
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

from edgekd.config import Code
from edgekd.errors import CheckpointError, UsageError, nearest
from edgekd.methods import check_method, is_own_method
from edgekd.methods.contract import Method, Side, lacking
from edgekd.models.outputs import FEATURES, HEADS, LOGITS, POOLED, PREFIX, TAIL, TOPK_LOGITS
from edgekd.models.ownfile import load_own, own_sum
from edgekd.models.taps import column_of
from edgekd.values import Unfit, from_text


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
    check_method(name)
    module = _own_module(Path(name), recorded, code or Code()) if is_own_method(name) else _module(name)
    known = {each.name for each in fields(module.Options)}
    chosen = {key: value for key, value in defaults.items() if key in known and value is not None}
    hints = typing.get_type_hints(module.Options, include_extras=True)
    for setting in settings:
        key, _, text = setting.partition("=")
        if key not in known:
            raise UsageError(f"--set {setting}: method {name} has no setting {key!r}", nearest(key, known))
        try:
            chosen[key] = from_text(text, hints[key], f"--set {key}")
        except Unfit as unfit:
            raise UsageError(unfit.problem, unfit.hint) from unfit
    method: Method = module.create(module.Options(**chosen))
    return method


def method_sum(name: str) -> str | None:
    """SHA-256 of the user's own method file; None for a method of edgekd's."""
    return own_sum(name) if is_own_method(name) else None


def _module(name: str) -> Any:  # noqa: ANN401
    return importlib.import_module("edgekd.methods." + name.replace("-", "_"))


def _own_module(path: Path, recorded: str | None, code: Code) -> ModuleType:
    path = path.resolve()
    module = load_own(path, own_sum(str(path)) if code.is_named(path) else recorded, code)
    for part, what in (("Options", "a dataclass of its settings"), ("create", "create(options) gives the method")):
        if not callable(getattr(module, part, None)):
            raise CheckpointError(f"{path}: has no {part} ({what})", "edgekd/methods/kd.py is an example")
    return module


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
