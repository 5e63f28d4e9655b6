"""Device profiles: TOML files that state a board, how it is recognised, and the limits a model must keep on it.

[cpu] and [memory] describe, [match] recognises, [budget] limits: its keys are the fields of config.Budget.
"""

import math
import tomllib
import types
import typing
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import edgekd
from edgekd.config import Budget
from edgekd.errors import ProfileError, UsageError, nearest


@dataclass(frozen=True)
class Cpu:
    """The processor; `threads` is what the device is measured with."""

    arch: str
    model: str
    cores: int
    threads: int
    isa: tuple[str, ...] = ()


@dataclass(frozen=True)
class Memory:
    """Memory as the system sees it, and what a headless system leaves free; MB."""

    total_mb: float
    free_mb: float | None = None


@dataclass(frozen=True)
class Match:
    """How this machine is recognised: any `board` is part of the device tree's model, any `cpu_part` or
    `cpu_model` of /proc/cpuinfo, `environment` a variable that is set; what is empty says nothing."""

    board: tuple[str, ...] = ()
    cpu_part: tuple[str, ...] = ()
    cpu_model: tuple[str, ...] = ()
    environment: str = ""


@dataclass(frozen=True)
class Device:
    """One profile."""

    name: str
    title: str
    cpu: Cpu
    memory: Memory | None = None
    match: Match = field(default_factory=Match)
    budget: Budget = field(default_factory=Budget)
    batch: int = 1
    sources: tuple[str, ...] = ()
    note: str = ""
    path: Path | None = None


def folder() -> Path:
    """Where the shipped profiles are: inside the installed package, else beside it in the source tree."""
    package = Path(edgekd.__file__).parent
    inside = package / "profiles"
    return inside if inside.is_dir() else package.parent / "profiles"


def names() -> list[str]:
    """The shipped profiles."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def find_device(name: str) -> Device:
    """The shipped profile of that name, or the TOML file at that path.

    Raises ProfileError with the nearest names, or with what is wrong in the file.
    """
    if name in names():
        return read_device(folder() / f"{name}.toml")
    if name.endswith(".toml") or Path(name).is_file():
        return read_device(Path(name))
    raise ProfileError(f"--device {name}: no such profile", f"{nearest(name, names())}; or a TOML file")


def read_device(path: Path) -> Device:
    """Read and check a profile; raises ProfileError with the key, the value and what would be right."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ProfileError(f"{path}: no such file", f"give a TOML file or {nearest('', names())}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ProfileError(f"{path}: not a TOML file ({error})", "mend it there") from error
    budget, batch = _budget(table.pop("budget", {}), path)
    hidden = {"budget", "batch", "path"}
    known = [each.name for each in fields(Device) if each.name not in hidden]
    _refuse_unknown(table, known + ["budget"], "", path)
    found: Device = _record(Device, {"name": path.stem, **table}, "", path)
    return Device(**{each: getattr(found, each) for each in known}, budget=budget, batch=batch, path=path)


def _budget(table: Any, path: Path) -> tuple[Budget, int]:  # noqa: ANN401
    if not isinstance(table, dict):
        raise ProfileError(f"{path}: budget = {table!r} is no table", "write [budget] above its keys")
    limits = dict(table)
    batch = limits.pop("batch", 1)
    if not isinstance(batch, int) or isinstance(batch, bool) or batch < 1:
        raise ProfileError(f"{path}: [budget] batch = {batch!r}", "give a whole number of images, at least 1")
    _refuse_unknown(limits, [*(each.name for each in fields(Budget)), "batch"], "[budget] ", path)
    for key, value in limits.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise ProfileError(f"{path}: [budget] {key} = {value!r} is no number", "give a number")
        try:
            Budget(**{key: float(value)})
        except UsageError as error:
            raise ProfileError(f"{path}: [budget] {key} = {value!r} is out of range", error.hint) from error
    return Budget(**{key: float(value) for key, value in limits.items()}), batch


def _refuse_unknown(table: dict[str, Any], known: list[str], place: str, path: Path) -> None:
    unknown = next((key for key in table if key not in known), None)
    if unknown is not None:
        raise ProfileError(f"{path}: {place}{unknown}: no such field", nearest(unknown, known))


def _record(kind: Any, table: Any, place: str, path: Path) -> Any:  # noqa: ANN401
    """A dataclass from a TOML table, each value checked against its annotation."""
    if not isinstance(table, dict):
        raise ProfileError(f"{path}: {place.strip()} is no table", f"write {place.strip()} above its keys")
    hints = typing.get_type_hints(kind)
    _refuse_unknown(table, list(hints), place, path)
    values = {key: _value(hints[key], value, f"{place}{key}", path) for key, value in table.items()}
    try:
        return kind(**values)
    except TypeError as error:
        missing = str(error).rsplit(":", 1)[-1].strip()
        raise ProfileError(f"{path}: {place}without {missing}", "add it; any shipped profile shows how") from error


def _value(hint: Any, value: Any, place: str, path: Path) -> Any:  # noqa: ANN401
    if isinstance(hint, types.UnionType):
        hint = typing.get_args(hint)[0]
    if hint in (Cpu, Memory, Match):
        return _record(hint, value, f"[{place}] ", path)
    if typing.get_origin(hint) is tuple:
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return tuple(value)
        raise ProfileError(f"{path}: {place} = {value!r}", "give a list of texts")
    if hint is str:
        if isinstance(value, str):
            return value
        raise ProfileError(f"{path}: {place} = {value!r}", "give a text")
    number = isinstance(value, int if hint is int else int | float) and not isinstance(value, bool)
    if not number or not value > 0:
        raise ProfileError(f"{path}: {place} = {value!r}", f"give a {'whole ' if hint is int else ''}number above 0")
    return value
