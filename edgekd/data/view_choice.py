"""The default views: as the teacher was trained; without one, flips by a look at the training images."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from edgekd.config import Views
from edgekd.data.view_options import USUAL, settle_views, view_recipe
from edgekd.declaration import AUTO, SWITCH
from edgekd.errors import CheckpointError
from edgekd.images.imageset import ImageData
from edgekd.images.mirroring import Finding, probe
from edgekd.report import Reporter
from edgekd.runs import Run

AnyViews = TypeVar("AnyViews", bound=Views)
NOT_VIEWS = ("version", "seed", "order")
"""In a recipe's description, but no choice of how an image is varied."""
SHOWN = 3
"""Classes named of those that mirroring destroys."""


def views_of(run: Run) -> dict[str, Any]:
    """How the images were varied that a run was trained on; empty where no training of ours made it."""
    found = run.manifest().get("views") or {}
    return {name: value for name, value in found.items() if name not in NOT_VIEWS}


def choose_views(
    config: AnyViews, known: Mapping[str, Any], parent: Path | None, data: ImageData, report: Reporter
) -> AnyViews:
    """The options with all of the view but its seed: as given, else as `parent` was trained, else flips by a look.

    `known` is what `views_of` says of `parent`, empty where there is none. A note says what differs.
    """
    if not known:
        return replace(config, flip=look(data, report)) if config.flip == AUTO else config
    asked, theirs = settle_views(config, dict(known)), settle_views(Views(), dict(known))
    changed = _differences(_described(asked), _described(theirs))
    unusual = _differences(_described(theirs), _described(settle_views(Views(), {})))
    if changed:
        report.note(f"views: {_words(changed, ', not ')}, as {parent} was trained")
    elif unusual:
        report.note(f"views: {', '.join(f'{name} {value}' for name, value, _ in unusual)}, as {parent} was trained")
    return replace(asked, view_seed=config.view_seed)


def tell_other_views(folder: Path, views: Mapping[str, Any], place: Path, report: Reporter) -> None:
    """Say in one line what a cache of these views shows otherwise than its teacher's run at `place` was trained on."""
    if not (place / "manifest.json").is_file():
        return
    try:
        known = views_of(Run(place))
    except CheckpointError:
        # a cache does without its teacher
        return
    there, theirs = (_described(settle_views(Views(), dict(each))) for each in (views, known))
    changed = _differences(there, theirs) if known else []
    if changed:
        flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, _, value in changed)
        report.note(
            f"views of {folder}: {_words(changed, ', but ')} in the training of {place}; "
            f"edgekd cache-logits --name {folder.name} {flags} --overwrite makes it anew"
        )


def look(data: ImageData, report: Reporter) -> Literal["on", "off"]:
    """`on` or `off`: whether mirrored training images still are of their class, as far as a quick look shows."""
    found = probe(data.train)
    report.note(_verdict(found, data.classes))
    return "on" if found.keeps else "off"


def _verdict(found: Finding, classes: tuple[str, ...]) -> str:
    if not found.keeps:
        told = [
            f"{each.plain} of {each.images} {classes[each.before]} are recognised, mirrored {each.mirrored} "
            f"(most like {classes[each.after]})"
            for each in found.moved[:SHOWN]
        ]
        more = f"; and {len(found.moved) - SHOWN} more classes" if len(found.moved) > SHOWN else ""
        return f"flip: off, mirroring changes the class: {'; '.join(told)}{more}; --flip on flips nonetheless"
    if not found.plain:
        return "flip: on; too few labelled images to see whether mirroring changes a class; --flip off to do without"
    return (
        f"flip: on, mirroring keeps the classes: a linear probe of {found.images:,} training images recognises "
        f"{found.plain:.0%}, mirrored {found.mirrored:.0%}; --flip off to do without"
    )


def _described(config: Views) -> dict[str, Any]:
    found = view_recipe(config).describe()
    return {name: value for name, value in found.items() if name not in NOT_VIEWS}


def _differences(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Name and both values, as they are typed, of what differs."""
    names = [name for name in USUAL if one.get(name, USUAL[name]) != two.get(name, USUAL[name])]
    return [(name, _typed(one.get(name, USUAL[name])), _typed(two.get(name, USUAL[name]))) for name in names]


def _typed(value: Any) -> Any:  # noqa: ANN401
    return SWITCH[not value] if isinstance(value, bool) else value


def _words(changed: list[tuple[str, Any, Any]], between: str) -> str:
    return "; ".join(f"{name} {one}{between}{two}" for name, one, two in changed)
