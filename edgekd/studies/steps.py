"""One command of a study, known by the hash of its options and of what it starts from, and where its work lies."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, get_type_hints

from edgekd import __version__, config
from edgekd.declaration import Options, converted, flag, key_of, offered
from edgekd.errors import ConfigError, UsageError, nearest
from edgekd.runs import slug
from edgekd.studies.contents import by_contents

COMMANDS: dict[str, type[Options]] = {
    "train-teacher": config.TrainTeacher,
    "cache-logits": config.CacheLogits,
    "distill": config.Distill,
    "finetune": config.Finetune,
    "export": config.Export,
    "profile": config.Profile,
    "evaluate": config.Evaluate,
}
TRAINING = ("train-teacher", "distill", "finetune")
OWN = (
    "runs",
    "caches",
    "name",
    "resume",
    "overwrite",
    "output",
    "config",
    "json",
    "quiet",
    "debug",
    "dry_run",
    "shard",
)
"""Options that the study itself gives."""
QUANTIZED = ("fp16", "int8")
"""Values of `export --quantize` whose file is what later steps take."""
DIGITS = 10
"""Of a step's hash in the name of its run."""


@dataclass(frozen=True)
class Step:
    """A command with its options, and the steps whose work it starts from by the option that takes it."""

    command: str
    options: Mapping[str, Any]
    parents: Mapping[str, "Step"] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that decides the outcome: command, options, contents of data, parents, edgekd's version."""
        facts = {
            "edgekd": __version__,
            "command": self.command,
            "options": by_contents(dict(self.options)),
            "parents": {name: each.digest for name, each in self.parents.items()},
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    @property
    def name(self) -> str:
        """The name of its run or cache: the network (or the command) and the hash."""
        network = self.options.get("student") or self.options.get("model")
        if self.command not in ("train-teacher", "distill") or network is None:
            network = self.command
        return f"{slug(str(network))}-{self.digest[:DIGITS]}"

    def with_parents(self) -> Iterator["Step"]:
        """All steps that must be done before, then the step itself."""
        for each in self.parents.values():
            yield from each.with_parents()
        yield self


@dataclass(frozen=True)
class Place:
    """Folders of all studies: `runs/`, `cache/`, `exports/` hold the work, `steps/` what each step came to."""

    root: Path

    @property
    def runs(self) -> Path:
        """Run folders."""
        return self.root / "runs"

    @property
    def caches(self) -> Path:
        """Caches of logits."""
        return self.root / "cache"

    def record(self, step: Step) -> Path:
        """What the finished step came to, as JSON."""
        return self.root / "steps" / f"{step.digest}.json"

    def log(self, step: Step) -> Path:
        """What the step told while it worked."""
        return self.root / "steps" / f"{step.digest}.log"

    def work(self, step: Step) -> Path | None:
        """What a later step starts from: a run folder, a cache or an ONNX file; None where there is none."""
        if step.options.get("dry_run"):
            return None
        if step.command in TRAINING:
            return self.runs / step.name
        if step.command == "cache-logits":
            return self.caches / step.name
        if step.command != "export":
            return None
        kind = step.options.get("quantize")
        return self.root / "exports" / step.name / (f"model.{kind}.onnx" if kind in QUANTIZED else "model.onnx")

    def is_done(self, step: Step) -> bool:
        """Whether the step's record and its work are there."""
        work = self.work(step)
        return self.record(step).is_file() and (work is None or work.exists())

    def arguments(self, step: Step) -> list[str]:
        """The command line, without `edgekd`, that carries the step out or goes on with it."""
        known = {each.name: each for each in fields(COMMANDS[step.command])}
        given = dict(step.options) | {name: self._parent(each) for name, each in step.parents.items()}
        positional = [
            str(given.pop(name)) for name, each in known.items() if each.metadata["positional"] and name in given
        ]
        words = [step.command, *positional, *(word for key, value in given.items() for word in _flags(key, value))]
        own: dict[str, Any] = {"runs": self.runs, "caches": self.caches}
        work = self.work(step)
        if work is not None:
            own |= {"output": work.with_name("model.onnx")} if step.command == "export" else {"name": step.name}
            own |= {"resume": True} if step.command in TRAINING and (work / "manifest.json").is_file() else {}
        return [*words, *(word for key, value in own.items() if key in known for word in _flags(key, value))]

    def _parent(self, step: Step) -> str:
        return str(self.work(step))


def _flags(key: str, value: Any) -> list[str]:  # noqa: ANN401
    name = f"--{flag(key)}"
    if isinstance(value, bool):
        return [name if value else f"--no-{flag(key)}"]
    values = value if isinstance(value, list | tuple) else [value]
    return [word for each in values for word in (name, str(each))]


def check_options(command: str, options: Mapping[str, Any], place: str) -> None:
    """Raise ConfigError or UsageError, naming `place`, for options that the command does not take."""
    if command not in COMMANDS:
        raise ConfigError(f"{place}: no such command {command!r}", nearest(command, COMMANDS))
    kind = COMMANDS[command]
    known = {key_of(each.name): each for each in offered(kind) if each.name not in OWN}
    hints = get_type_hints(kind)
    for key in options:
        if key not in known:
            hint = "the study gives it itself" if key in OWN else nearest(key, known)
            raise ConfigError(f"{place}: {command} takes no {key!r} here", hint)
    values = {
        known[key].name: converted(known[key], hints[known[key].name], options[key], f"{place}: {key}")
        for key in options
    }
    try:
        kind(**values)
    except UsageError as error:
        raise ConfigError(f"{place}: {command} {error.problem}", error.hint) from error


def in_order(chains: Sequence[Sequence[Step]]) -> list[Step]:
    """Every step of the chains once, parents before children."""
    return list({step.digest: step for chain in chains for last in chain for step in last.with_parents()}.values())
