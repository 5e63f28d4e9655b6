"""Device profiles: TOML files that state a board, how it is recognised, and the limits a model must keep on it.

[cpu] and [memory] describe, [match] recognises, [budget] limits: its keys are the fields of config.Budget.
"""

import typing
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

import edgekd
from edgekd.config import Budget
from edgekd.declaration import converted
from edgekd.errors import ProfileError, nearest
from edgekd.reading import read_toml
from edgekd.values import Count, Limits, Positive, check

Batch = Annotated[int, Limits(1, 1_000_000)]


@dataclass(frozen=True)
class Cpu:
    """The processor; `threads` is what the device is measured with."""

    arch: str
    model: str
    cores: Count
    threads: Annotated[int, Limits(1, 1024)]
    isa: tuple[str, ...] = ()


@dataclass(frozen=True)
class Memory:
    """Memory as the system sees it, and what a headless system leaves free; MB."""

    total_mb: Positive
    free_mb: Positive | None = None


@dataclass(frozen=True)
class DeviceMatch:
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
    match: DeviceMatch = field(default_factory=DeviceMatch)
    budget: Budget = field(default_factory=Budget)
    batch: int = 1
    sources: tuple[str, ...] = ()
    note: str = ""
    path: Path | None = None


_OFFERED = [each.name for each in fields(Device) if each.name not in ("batch", "path")]


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
    known = nearest("", names())
    table = read_toml(path, ProfileError, f"give a TOML file or {known}")
    budget, batch = _budget(table.pop("budget", {}), path)
    unknown = next((key for key in ("batch", "path") if key in table), None)
    if unknown is not None:
        raise ProfileError(f"{path}: {unknown}: no such field", nearest(unknown, _OFFERED))
    found: Device = check({"name": path.stem, **table}, Device, path, ProfileError)
    return replace(found, budget=budget, batch=batch, path=path)


def _budget(table: Any, path: Path) -> tuple[Budget, int]:  # noqa: ANN401
    """The limits and the batch they are for; the fields of Budget say what is possible."""
    limits: dict[str, Any] = dict(check(table, dict[str, Any], f"{path}: budget:", ProfileError))
    place = f"{path}: [budget]"
    batch: int = check(limits.pop("batch", 1), Batch, f"{place} batch:", ProfileError)
    hints, known = typing.get_type_hints(Budget), {each.name: each for each in fields(Budget)}
    unknown = next((key for key in limits if key not in known), None)
    if unknown is not None:
        raise ProfileError(f"{place} {unknown}: no such field", nearest(unknown, [*known, "batch"]))
    given = {
        key: converted(known[key], hints[key], value, f"{place} {key}", ProfileError) for key, value in limits.items()
    }
    return Budget(**given), batch
