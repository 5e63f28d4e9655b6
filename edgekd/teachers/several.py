"""Several teachers as one, asked live."""

from dataclasses import replace
from typing import Any

from edgekd.compute.formats import Format, device_of
from edgekd.config import Distill
from edgekd.data.view_choice import choose_views
from edgekd.images.imageset import ImageData
from edgekd.report import Reporter
from edgekd.teachers.resolve import teacher_and_data
from edgekd.teachers.teacher import Ensemble, Live
from edgekd.teachers.wanted import samples_in


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
