"""`edgekd fit`: from images to a judged ONNX file within a time limit, with nothing to choose."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from edgekd import config as options
from edgekd.data.sources import open_data
from edgekd.declaration import as_dict
from edgekd.errors import CheckFailed, DataError
from edgekd.exporting.latency import measure_untrained
from edgekd.images.imageset import ImageData
from edgekd.models.build import build
from edgekd.report import Reporter, Result, Silent, Table
from edgekd.runs import check_writable, write_json
from edgekd.studies.clock import Clock
from edgekd.studies.decisions import Decisions
from edgekd.studies.rehearsal import rehearse, settle_pins
from edgekd.studies.schedule import carry_out
from edgekd.studies.steps import Place, Step
from edgekd.studies.teaching import STUDENT, Plan, Wish, check_limit, checked, plan_teaching

SHARES = {"teacher": 0.45, "cache": 0.1, "student": 0.45}
"""Of the time that starts, export and verdict leave."""
PROFILE_SECONDS = 3.0
FEW = 50
"""Images of a class below which accuracy says little."""
LEAST = 2
"""Training images of every class without which nothing can be learnt."""


def run(config: options.FitAll, report: Reporter) -> Result:
    """Teacher, cache, the default student, export, verdict; a step that fails ends the whole with its reason."""
    limit = check_limit(config.time_limit)
    check_writable(config.output)
    place, decisions = Place(config.output), Decisions(config.output / "plan")
    held = as_dict(config)
    with Clock(config.output / "clock", limit) as clock:
        data = open_data(options.Data(data=config.data), report)
        judge_size(data, report)
        report.note(f"student: {STUDENT}; --time-limit {options.SECONDS_TO_SEARCH // 60}m or more searches for one")
        decisions.hold(held, "fit")
        measuring = decisions.decide("measuring", lambda: _look(config, data, report))
        pins = decisions.decide("pins", lambda: settle_pins(STUDENT, data, options.Pinned()))
        wish = Wish(config.time_limit, SHARES, measuring["seconds"])
        look = partial(rehearse, data=data, pins=pins)
        plan = Plan(**decisions.decide("time", lambda: plan_teaching(wish, data, clock, look).as_dict()))
        shared = {"data": config.data} | pins
        teacher = Step("train-teacher", {**shared, "model": plan.teacher, "time_limit": f"{plan.teaching:g}s"})
        cache = Step("cache-logits", {**shared, "views": plan.views}, {"teacher": teacher})
        report.note(f"teacher: {plan.teacher}, {plan.teaching:.0f} s, {plan.views} views")
        # Bounded by their own plans: where the machine has become slower, late with a model is better than without.
        checked(carry_out([teacher, cache], place, report), place)
        least = plan.student / 4
        student_time = decisions.decide("student", lambda: {"seconds": round(max(least, clock.left() - plan.after), 1)})
        student = Step("distill", {**shared, "time_limit": f"{student_time['seconds']:g}s"}, {"cache": cache})
        export = Step("export", {}, {"model": student})
        verdict = Step("profile", {"device": config.device, "duration": PROFILE_SECONDS}, {"models": export})
        chain = [teacher, cache, student, export, verdict]
        outcome = checked(carry_out(chain, place, report), place)
        return _result(chain, place, {key: each["result"] for key, each in outcome.records.items()}, clock.spent())


def _look(config: options.FitAll, data: ImageData, report: Reporter) -> dict[str, Any]:
    """Seconds that export and verdict of the untrained student take; warns of limits that it misses already."""
    began = time.monotonic()
    found = measure_untrained(build(STUDENT, data), options.Profile(device=config.device), Silent())
    missed = [check for check in found["models"][0]["checks"] if check["passed"] is False]
    for check in missed:
        words = f"{check['what']} {check['value']:.3g} {check['unit']}".rstrip()
        report.warn(f"{STUDENT} misses a limit before any training: {words}, limit {check['allowed']:g}")
    return {"seconds": round(time.monotonic() - began, 1)}


def judge_size(data: ImageData, report: Reporter) -> None:
    """Say what is too little; raises DataError when a class has not enough images to learn from."""
    targets = data.train.targets
    counts = {name: int((targets == number).sum()) for number, name in enumerate(data.classes)}
    scarce = [f"{name} ({count})" for name, count in counts.items() if count < LEAST]
    if scarce:
        raise DataError(
            f"{data.name}: too few training images of {', '.join(scarce[:6])}", f"give at least {LEAST} of every class"
        )
    few = [f"{name} {count}" for name, count in counts.items() if count < FEW]
    if few:
        report.warn(f"{data.name}: few training images ({', '.join(few[:6])}); {FEW} of a class or more tell more")
    if len(data.test) < FEW * len(data.classes):
        error = 0.98 / max(1, len(data.test)) ** 0.5
        report.warn(f"{data.name}: {len(data.test)} test images know an accuracy to about {error:.0%} only")


def _result(chain: Sequence[Step], place: Place, results: dict[str, Any], seconds: float) -> Result:
    teacher, _, student, _, verdict = (results[each.digest] for each in chain)
    works = {each.command: place.work(each) for each in chain}
    found: dict[str, Any] = {
        "teacher_top1": teacher["test_top1"],
        "test_top1": student["test_top1"],
        "passed": verdict["passed"],
        "statement": verdict["statement"],
        "seconds": round(seconds, 1),
        "places": {command: str(work) for command, work in works.items() if work is not None},
    }
    write_json(place.root / "fit.json", found | {"profile": verdict})
    rows = [
        ("verdict", {True: "PASS", False: "FAIL", None: "UNKNOWN"}[verdict["passed"]]),
        ("teacher's test accuracy", f"{teacher['test_top1']:.2%}"),
        ("student's test accuracy", f"{student['test_top1']:.2%}"),
        ("student", student["model"]),
        *((command, str(work)) for command, work in works.items() if work is not None),
    ]
    failure = None
    if verdict["passed"] is False:
        failure = CheckFailed("the model misses a limit of the device", "edgekd search looks for one that fits")
    return Result(found, [Table("edgekd fit", ("", ""), rows)], [verdict["statement"]], failure)
