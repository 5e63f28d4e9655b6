"""`--resume`: the options of the run that goes on, and whether there is anything left to do."""

from dataclasses import fields, replace
from typing import Any, TypeVar, get_type_hints

from edgekd.config import NETWORKS, Code, Distill, Finetune, Shell, TrainTeacher
from edgekd.config import Run as RunOptions
from edgekd.declaration import SWITCH, as_dict, flag, from_dict, is_given, is_switch
from edgekd.errors import CheckpointError, UsageError
from edgekd.models.known import is_file
from edgekd.models.names import resolve
from edgekd.models.ownfile import own_sum
from edgekd.report import Reporter
from edgekd.runs import Run

HOW = {each.name for each in (*fields(Shell), *fields(RunOptions))}
"""Options that say where and how to go on, not what is trained."""

MACHINE = {"threads", "accumulate"}
"""Options that may change when a run goes on with other processes or on another machine; kept unless given."""

Config = TypeVar("Config", TrainTeacher, Distill, Finetune)


def go_on(config: Config, run: Run, command: str) -> Config:
    """The settled options stored in the run; what is asked now must not contradict them.

    Raises UsageError naming an option that differs, CheckpointError when the run is another command's.
    """
    manifest = run.manifest()
    if manifest["command"] != command:
        raise CheckpointError(f"{run.path}: made by edgekd {manifest['command']}", "give another --name")
    now = as_dict(config)
    settled, given = (_as_now(config, manifest[each]) for each in ("config", "given"))
    for name in now.keys() - HOW - MACHINE:
        if now[name] not in (settled.get(name), given.get(name)) and is_given(config, name):
            raise UsageError(
                f"--resume: --{flag(name)} is {now[name]} here but {settled.get(name)} in {run.path}",
                "give the command as it was, or --overwrite to start anew",
            )
    changed = {name for name in MACHINE if is_given(config, name)}
    kept = settled | {name: now[name] for name in (HOW | changed) & now.keys()}
    found = from_dict(type(config), kept, str(run.path / "manifest.json"))
    return replace(
        found, log=config.log, trust_code=config.trust_code, from_record=_unnamed(config, found, manifest["model"])
    )


def _as_now(config: Config, stored: dict[str, Any]) -> dict[str, Any]:
    """Stored options in today's words: an option that is on or off may have been true or false."""
    hints = get_type_hints(type(config))
    return {
        name: SWITCH[not value] if isinstance(value, bool) and is_switch(hints.get(name)) else value
        for name, value in stored.items()
    }


def _unnamed(asked: Code, settled: Code, model: dict[str, Any]) -> tuple[str, ...]:
    """Options whose own file the command does not name; with --trust-code only a file unchanged since it was recorded.

    Raises CheckpointError when the run's own file has changed.
    """
    if is_file(model["name"]) and own_sum(model["name"]) != model.get("code"):
        raise CheckpointError(
            f"--resume: {model['name']} is not the code that this run was begun with",
            "restore the file, or start anew with --overwrite",
        )
    names = [each for each in NETWORKS if hasattr(settled, each)]
    unnamed = [each for each in names if each in asked.from_record or not is_given(asked, each)]
    if not asked.trust_code:
        return tuple(unnamed)
    files = {each: str(getattr(settled, each)) for each in unnamed}
    return tuple(each for each, file in files.items() if not is_file(file) or resolve(file) != model["name"])


def is_finished(run: Run, report: Reporter) -> bool:
    """Whether the run was finished before; says so."""
    found = bool(run.manifest().get("status") == "finished")
    if found:
        report.note(f"{run.path}: finished before, so there is nothing to go on with; its result:")
    return found
