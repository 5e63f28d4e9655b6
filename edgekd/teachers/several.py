"""Several teachers as one: how they are named and weighed, and how they are asked live."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekd.compute.formats import Format, device_of
from edgekd.config import Distill, weighed
from edgekd.data.view_choice import choose_views
from edgekd.errors import UsageError
from edgekd.images.imageset import ImageData
from edgekd.models.finished import is_run
from edgekd.report import Reporter
from edgekd.teachers.resolve import teacher_and_data
from edgekd.teachers.teacher import Ensemble, Live
from edgekd.teachers.wanted import samples_in


def teachers_named(config: Distill) -> list[tuple[str, float]]:
    """The teachers of `--teacher A,B=0.5` with their weights; empty where it names one, or none.

    Raises UsageError where they would not be asked live.
    """
    given = config.teacher or ""
    if "," not in given or is_run(given, config.runs) or Path(given).is_file():
        return []
    if not config.live or config.dry_run or config.teacher_weights is not None:
        raise UsageError(
            f"--teacher {given}: several teachers are asked with --live only, by runs or models that have weights",
            "add --live; or give a cache of each: --cache NAME --cache NAME",
        )
    found = [weighed(each, "teacher") for each in given.split(",")]
    twice = next((name for name, _ in found if [each for each, _ in found].count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"--teacher {given}: {twice} is named twice", "give each once, as NAME=WEIGHT")
    return found


def ask_together(
    config: Distill, named: list[tuple[str, float]], report: Reporter
) -> tuple[Ensemble, ImageData, Distill, dict[str, Any]]:
    """The teachers as one, on the first one's data and views; the options completed by it, and the parents."""
    first, data, settled = teacher_and_data(replace(config, teacher=named[0][0]), report)
    known = [first]
    for name, _ in named[1:]:
        other, _, _ = teacher_and_data(replace(settled, teacher=name), report)
        known.append(other)
    members = []
    for each in known:
        network = each.network(config).to(device_of(config))
        Format(memory_format=each.layout).prepare(network)
        members.append(Live(network, samples_in(data)))
    weights = [weight for _, weight in named]
    settled = choose_views(settled, first.views, first.place, data, report)
    places = ",".join(f"{each.place}={weight!r}" for each, weight in zip(known, weights, strict=True))
    described = [
        {"name": each.name, "run" if each.run else "file": str(each.place), "sha256": each.sha256, "weight": weight}
        for each, weight in zip(known, weights, strict=True)
    ]
    teacher = Ensemble(members, weights, by_confidence=config.ensemble == "confidence")
    return teacher, data, replace(settled, teacher=places), {"teachers": described}
