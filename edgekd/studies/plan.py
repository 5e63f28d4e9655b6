"""From a study's TOML file to arms: chains of steps, one chain for every seed."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

from edgekd.errors import ConfigError, UsageError, nearest
from edgekd.methods import METHODS
from edgekd.reading import read_toml
from edgekd.studies.steps import COMMANDS, OWN, TRAINING, Step, check_options
from edgekd.values import check

BUILTIN = Path(__file__).parent / "builtin"
SEEDS, QUICK_SEEDS = 3, 2
"""Of every arm, where neither the user nor the file says."""
EVERY = "all"
"""The key of options for every command that takes them."""
ANY_METHOD = ["*"]
"""In a grid over distill.method: every method there is."""
PARENTS: dict[str, dict[str, tuple[str, ...]]] = {
    "cache-logits": {"teacher": ("train-teacher",)},
    "distill": {"cache": ("cache-logits",), "teacher": ("train-teacher",)},
    "finetune": {"model": ("distill", "finetune", "train-teacher")},
    "export": {"model": ("finetune", "distill", "train-teacher")},
    "profile": {"models": ("export",)},
    "evaluate": {"model": ("export", "finetune", "distill", "train-teacher")},
}
"""Which option of a command takes the work of which steps before it in the chain, the first that is there."""
HINT = "docs/studies.md shows what a study's file holds"

Tables = dict[str, dict[str, Any]]


class ArmTable(TypedDict, total=False):
    """One arm, or one for each point of its grid."""

    name: str
    chain: list[str]
    options: Tables
    grid: dict[str, list[Any]]


class StudyTable(TypedDict, total=False):
    """A study's file."""

    question: str
    hours: str
    chain: list[str]
    options: Tables
    grid: dict[str, list[Any]]
    arms: list[ArmTable]
    baseline: str
    compared: str
    quick: "QuickTable"


class QuickTable(TypedDict, total=False):
    """What `--quick` changes."""

    seeds: int
    options: Tables
    grid: dict[str, list[Any]]
    arms: list[ArmTable]


@dataclass(frozen=True)
class Arm:
    """One row of the table: a chain of steps for every seed; `point` is its place in the grid."""

    name: str
    point: Mapping[str, Any]
    chains: Mapping[int, Sequence[Step]]


@dataclass(frozen=True)
class Recipe:
    """An arm before its seeds: commands in order with their options."""

    name: str
    chain: Sequence[str]
    options: Tables
    point: Mapping[str, Any] = field(default_factory=dict)
    """Values of the grid's axes."""


@dataclass(frozen=True)
class Study:
    """What is asked, and the recipes that answer it; the first one, or `baseline`, is what others are compared with."""

    name: str
    question: str
    hours: str
    recipes: Sequence[Recipe]
    baseline: str
    compared: str
    """The figure in which arms differ."""
    seeds: int
    """Of every arm, where nobody says."""
    skipped: Mapping[str, str]
    """Arms that cannot run, with the reason."""

    def arms(self, seeds: int, pins: Mapping[str, Any]) -> list[Arm]:
        """The arms for seeds 0, 1, ...; `pins` are options of all training commands, the file's own win over none."""
        return [
            Arm(each.name, each.point, {seed: _chain(each, seed, pins) for seed in range(seeds)})
            for each in self.recipes
        ]


def builtin_names() -> list[str]:
    """The studies that edgekd brings."""
    return sorted(path.stem for path in BUILTIN.glob("*.toml"))


def open_study(name: str, data: str | None = None, *, quick: bool = False) -> Study:
    """The study of a built-in name or of a TOML file, on other data where given.

    Raises UsageError for an unknown name, ConfigError for a file that says nothing or something impossible.
    """
    is_file = name.endswith(".toml") or "/" in name
    path = Path(name) if is_file else BUILTIN / f"{name}.toml"
    if not is_file and not path.is_file():
        raise UsageError(f"{name}: no such study", f"{nearest(name, builtin_names())}; or give a file, ./NAME.toml")
    table: StudyTable = check(read_toml(path, ConfigError, HINT), StudyTable, path, ConfigError, HINT)
    own: Tables = {EVERY: {"data": data}} if data else {}
    changes: QuickTable = table.get("quick", {}) if quick else {}
    options = _merged(_merged(table.get("options", {}), changes.get("options", {})), own)
    grid = table.get("grid", {}) | changes.get("grid", {})
    arms: list[ArmTable] = changes.get("arms", table.get("arms", [ArmTable()]))
    recipes = [found for arm in arms for found in _recipes(arm, table.get("chain", []), options, grid)]
    for each in recipes:
        _check(each, path)
    names = [each.name for each in recipes]
    twice = next((each for each in names if names.count(each) > 1), None)
    if twice is not None:
        raise ConfigError(f"{path}: two arms are called {twice!r}", "give each a name of its own")
    skipped = {each.name: reason for each in recipes if (reason := _lack(each))}
    there = [each for each in recipes if each.name not in skipped]
    if not there:
        raise UsageError(
            f"{path.stem}: cannot run: {next(iter(skipped.values()))}", "edgekd methods lists what there is"
        )
    baseline = table.get("baseline", there[0].name)
    if baseline not in names:
        raise ConfigError(f"{path}: baseline {baseline!r} is no arm", nearest(baseline, names))
    asked = table.get("compared", "test_top1"), changes.get("seeds", QUICK_SEEDS if quick else SEEDS)
    return Study(path.stem, table.get("question", ""), table.get("hours", ""), there, baseline, *asked, skipped)


def _recipes(arm: ArmTable, chain: Sequence[str], options: Tables, grid: Mapping[str, list[Any]]) -> list[Recipe]:
    """One recipe for every point of the arm's grid, or of the study's where the arm has none of its own."""
    mine = _merged(options, arm.get("options", {}))
    commands = arm.get("chain", chain)
    axes: Mapping[str, list[Any]] = arm.get("grid", {} if "chain" in arm or "options" in arm else grid)
    values = [_values(key, axis) for key, axis in axes.items()]
    found = []
    for point in itertools.product(*values):
        settings: Tables = {}
        for key, value in zip(axes, point, strict=True):
            command, _, name = key.rpartition(".")
            settings.setdefault(command or EVERY, {})[name] = value
        words = [arm["name"]] if "name" in arm else []
        words += [f"{key.rpartition('.')[2]} {_word(value)}" for key, value in zip(axes, point, strict=True)]
        point_of = dict(zip(axes, point, strict=True))
        found.append(Recipe(", ".join(words) or "run", commands, _merged(mine, settings), point_of))
    return found


def _values(key: str, axis: list[Any]) -> list[Any]:
    return list(METHODS) if key == "distill.method" and axis == ANY_METHOD else axis


def _word(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, bool):
        return "on" if value else "off"
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def _merged(first: Tables, second: Tables) -> Tables:
    return {
        key: first.get(key, {}) | second.get(key, {})
        for key in [*first, *(each for each in second if each not in first)]
    }


def _check(recipe: Recipe, path: Path) -> None:
    place = f"{path} ({recipe.name})"
    if not recipe.chain:
        raise ConfigError(
            f"{place}: no chain of commands", f"for example {['train-teacher', 'cache-logits', 'distill']}"
        )
    for command in [*recipe.chain, *(each for each in recipe.options if each != EVERY)]:
        check_options(command, recipe.options.get(command, {}), place)
    kinds = [COMMANDS[each] for each in recipe.chain]
    for key in recipe.options.get(EVERY, {}):
        if key in OWN or not any(key in kind.__dataclass_fields__ for kind in kinds):
            raise ConfigError(f"{place}: no command of its chain takes {key!r}", HINT)


def _lack(recipe: Recipe) -> str:
    method = recipe.options.get("distill", {}).get("method", "kd")
    is_there = method in METHODS or str(method).endswith(".py")
    return "" if "distill" not in recipe.chain or is_there else f"there is no method {method!r} in this edgekd"


def _chain(recipe: Recipe, seed: int, pins: Mapping[str, Any]) -> list[Step]:
    """The steps of one seed; a teacher, which others start from, is the same for every seed."""
    steps: list[Step] = []
    for number, command in enumerate(recipe.chain):
        kind = COMMANDS[command]
        options = dict(recipe.options.get(EVERY, {})) | dict(pins)
        options = {key: value for key, value in options.items() if key in kind.__dataclass_fields__}
        options |= recipe.options.get(command, {})
        is_teacher = (
            command == "train-teacher"
            and number + 1 < len(recipe.chain)
            and recipe.chain[number + 1]
            in (
                "cache-logits",
                "distill",
            )
        )
        if command in TRAINING and "seed" not in options:
            options["seed"] = 0 if is_teacher else seed
        steps.append(_link(Step(command, options), steps))
    return steps


def _link(step: Step, before: Sequence[Step]) -> Step:
    if step.command == "distill" and step.options.get("peers"):
        return step
    parents: dict[str, Step] = {}
    for option, commands in PARENTS.get(step.command, {}).items():
        source = next((each for each in reversed(before) if each.command in commands), None)
        if source is not None and not parents and option not in step.options:
            parents[option] = source
    return replace(step, parents=parents)
