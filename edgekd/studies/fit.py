"""`edgekd fit`: from images to a judged ONNX file within a time limit, with nothing to choose."""

import time
from collections.abc import Sequence
from typing import Any

from edgekd import config as options
from edgekd.data.sources import open_data
from edgekd.errors import CheckFailed, CheckpointError, DataError
from edgekd.images.imageset import ImageData
from edgekd.report import Reporter, Result, Table
from edgekd.runs import check_writable, write_json
from edgekd.studies.schedule import carry_out
from edgekd.studies.steps import Place, Step
from edgekd.training.schedule import seconds_of

SHARES = {"train-teacher": 0.45, "distill": 0.4}
"""Of the time limit, for the two trainings; the rest is for the cache, the export and the verdict."""
SECONDS_OF_ALL_ELSE = 45.0
"""Starting five processes, the export and the verdict."""
FEW = 50
"""Images of a class below which accuracy says little."""
LEAST = 2
"""Training images of every class without which nothing can be learnt."""


def run(config: options.FitAll, report: Reporter) -> Result:
    """Teacher, cache, student, export, verdict; a step that fails ends the whole with its reason."""
    began, limit = time.monotonic(), seconds_of(config.time_limit)
    check_writable(config.output)
    data = open_data(options.Distill(data=config.data), report)
    _judge_size(data, report)
    place = Place(config.output)
    chain = chain_of(config, limit)
    # The trainings keep to their own shares; what follows them is short and makes the difference of a model.
    outcome = carry_out(chain[:2], place, report, deadline=began + limit)
    if not outcome.is_cut and not outcome.failures:
        outcome = carry_out(chain, place, report)
    if outcome.failures:
        raise CheckpointError(next(iter(outcome.failures.values())), f"{place.root}/steps holds what each step told")
    if outcome.is_cut:
        raise DataError(
            f"--time-limit {config.time_limit}: was over before the model was done; what is done is kept",
            "the same command goes on; give more time",
        )
    return _result(chain, place, {key: each["result"] for key, each in outcome.records.items()})


def chain_of(config: options.FitAll, limit: float) -> list[Step]:
    """The steps, each training with its share of `limit` seconds."""
    data = {"data": config.data}
    usable = max(limit / 4, limit - SECONDS_OF_ALL_ELSE)
    budget = {command: {"time_limit": f"{max(1.0, usable * share):.0f}s"} for command, share in SHARES.items()}
    teacher = Step("train-teacher", data | budget["train-teacher"])
    cache = Step("cache-logits", dict(data), {"teacher": teacher})
    student = Step("distill", data | budget["distill"], {"cache": cache})
    export = Step("export", {}, {"model": student})
    seconds = min(10.0, limit / 60)
    verdict = Step("profile", {"device": config.device, "duration": seconds}, {"models": export})
    return [teacher, cache, student, export, verdict]


def _judge_size(data: ImageData, report: Reporter) -> None:
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


def _result(chain: Sequence[Step], place: Place, results: dict[str, Any]) -> Result:
    teacher, _, student, _, verdict = (results[each.digest] for each in chain)
    works = {each.command: place.work(each) for each in chain}
    found: dict[str, Any] = {
        "teacher_top1": teacher["test_top1"],
        "test_top1": student["test_top1"],
        "passed": verdict["passed"],
        "statement": verdict["statement"],
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
