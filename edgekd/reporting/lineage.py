"""Which commands and artifacts a run came from, read from manifests alone."""

import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

from edgekd.config import Distill, Finetune, TrainTeacher
from edgekd.declaration import Options, key_of
from edgekd.errors import CheckpointError
from edgekd.runs import Run

COMMANDS: dict[str, type[Options]] = {"train-teacher": TrainTeacher, "distill": Distill, "finetune": Finetune}
"""Commands that make runs."""
NOT_SAID = ("resume", "overwrite")
"""How a run was begun, but not what it is."""

Manifest = dict[str, Any]


def command_line(manifest: Manifest) -> str | None:
    """The call that made a run, with the options that differ from their defaults; None where no command made it."""
    config = COMMANDS.get(manifest["command"])
    if config is None:
        return None
    words, given = ["edgekd", manifest["command"]], manifest["given"]
    for each in sorted(fields(config), key=lambda each: not each.metadata["positional"]):
        value = given.get(key_of(each.name))
        default = list(each.default) if isinstance(each.default, tuple) else each.default
        if not each.metadata["recorded"] or each.name in NOT_SAID or value is None or value == _plain(default):
            continue
        words += _option(f"--{key_of(each.name).replace('_', '-')}", value, bool(each.metadata["positional"]))
    return shlex.join(words)


def _plain(value: Any) -> Any:  # noqa: ANN401
    return str(value) if isinstance(value, Path) else value


def _option(flag: str, value: Any, is_positional: bool) -> list[str]:  # noqa: ANN401
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    values = value if isinstance(value, list) else [value]
    return [word for each in values for word in ([str(each)] if is_positional else [flag, str(each)])]


def ancestors(run: Run) -> list[tuple[str, Run, Manifest]]:
    """The runs that a run came from and itself, oldest first, each with its part: `run`, `teacher` or `start`.

    Runs that are not there any more are left out.
    """
    found: list[tuple[str, Run, Manifest]] = []
    _climb("run", run, found, set())
    return found[::-1]


def _climb(role: str, run: Run, found: list[tuple[str, Run, Manifest]], seen: set[Path]) -> None:
    place = run.path.resolve()
    if place in seen:
        return
    seen.add(place)
    try:
        manifest = run.manifest()
    except CheckpointError:
        if role == "run":
            raise
        return
    found.append((role, run, manifest))
    for name, parent in parents_of(manifest):
        where = parent.get("run") or parent.get("place")
        if where and Path(where).is_dir():
            _climb(name, Run(Path(where)), found, seen)


def parents_of(manifest: Manifest) -> list[tuple[str, dict[str, Any]]]:
    """The direct parents that are described: teachers, and the run that training started from."""
    parents = manifest.get("parents", {})
    single = [(name, parents[name]) for name in ("start", "teacher") if isinstance(parents.get(name), dict)]
    return single + [("teacher", each) for each in parents.get("teachers", [])]


def caches_of(manifest: Manifest) -> list[dict[str, Any]]:
    """The caches that a run learnt from, each with `path` and `plan`."""
    parents = manifest.get("parents", {})
    return ([parents["cache"]] if "cache" in parents else []) + list(parents.get("caches", []))
