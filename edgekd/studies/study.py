"""`edgekd study`: a grid of runs that answers one question, resumable at any instant, with means over seeds."""

import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekd import config as options
from edgekd.cores import available_cores
from edgekd.errors import CheckFailed, UsageError
from edgekd.report import Cell, Reporter, Result, Table
from edgekd.runs import check_writable, write_json
from edgekd.studies.contents import digest_of
from edgekd.studies.forecast import forecast
from edgekd.studies.outcome import describe, tables_of
from edgekd.studies.plan import Arm, Study, builtin_names, open_study
from edgekd.studies.schedule import Outcome, carry_out
from edgekd.studies.steps import Place, Step, in_order
from edgekd.training.schedule import seconds_of

FORMAT = 1
"""Version of study.json."""


def pins_of(config: options.Pinned, jobs: int) -> dict[str, Any]:
    """Number format, layout and threads of all arms: a trial on each arm's own would confound them."""
    threads = config.threads or max(1, available_cores() // jobs)
    return {"precision": config.precision, "memory_format": config.memory_format, "threads": threads}


def run(config: options.Study, report: Reporter) -> Result:
    """Carry out the study `config.study`, or list the built-in ones; writes `study.json`."""
    began = time.monotonic()
    limit = None if config.time_limit is None else began + seconds_of(config.time_limit)
    if config.study is None:
        return _listing()
    study = open_study(config.study, config.data, quick=config.quick)
    for name, reason in study.skipped.items():
        report.warn(f"{name}: left out: {reason}")
    digest_of.cache_clear()
    arms = study.arms(config.seeds or study.seeds, pins_of(config, config.jobs))
    place = Place(config.output)
    steps = by_seed(arms)
    if config.dry_run:
        return _dry_run(study, steps, place, config.jobs, report)
    check_writable(place.root)

    def tell(step: Step, record: Mapping[str, Any]) -> None:
        top1 = record["result"].get("test_top1")
        report.note(f"{step.name}: {record['seconds']:.0f} s" + (f", test {top1:.2%}" if top1 is not None else ""))

    outcome = carry_out(steps, place, report, jobs=config.jobs, deadline=limit, tell=tell)
    for words in dict.fromkeys(outcome.failures.values()):
        report.warn(f"a step failed: {words}")
    facts = {
        "format": FORMAT,
        "study": study.name,
        "question": study.question,
        "is_complete": not outcome.is_cut and not outcome.failures,
        "pinned": pins_of(config, config.jobs),
        "skipped": dict(study.skipped),
        **describe(arms, study, outcome, place),
    }
    file = place.root / (study.name + ("-quick" if config.quick else "")) / "study.json"
    write_json(file, facts)
    lines = [study.question, f"all of it: {file}"]
    if outcome.is_cut:
        lines.append("the time was over before all was done: the same command goes on")
    return Result(facts, tables_of(facts), lines, _broken(outcome))


def _broken(outcome: Outcome) -> CheckFailed | None:
    """What makes the command's exit code 5: steps that failed."""
    if not outcome.failures:
        return None
    return CheckFailed(
        f"steps failed: {len(outcome.failures)}, so the table lacks arms or seeds",
        "mend what the warnings say; the same command carries out only what is missing",
    )


def by_seed(arms: Sequence[Arm]) -> list[Step]:
    """All steps once, the first seed of every arm first: a study that is cut off knows a little of each."""
    seeds = sorted({seed for arm in arms for seed in arm.chains})
    return in_order([arm.chains[seed] for seed in seeds for arm in arms if seed in arm.chains])


def _listing() -> Result:
    rows = []
    for name in builtin_names():
        try:
            study = open_study(name)
            rows.append([name, study.question, study.hours])
        except UsageError as error:
            rows.append([name, error.problem, "-"])
    facts = {"studies": [{"name": name, "question": text, "hours": hours} for name, text, hours in rows]}
    return Result(facts, [Table("edgekd study NAME", ["name", "question", "full form"], rows, ["full form"])])


def _dry_run(study: Study, steps: Sequence[Step], place: Place, jobs: int, report: Reporter) -> Result:
    """What would run, how long it would take by a few real steps of each training, and how large it would be."""
    todo = [step for step in steps if not place.is_done(step)]
    expected = forecast(todo, report)
    for words in expected.reasons:
        report.warn(f"a training could not be timed: {words}")
    seconds = sum(expected.seconds.values()) / jobs if len(expected.seconds) == len(todo) else None
    rows: list[list[Cell]] = []
    for command, count in Counter(each.command for each in steps).items():
        left = [each.digest for each in todo if each.command == command]
        hours = sum(expected.seconds.get(each, 0.0) for each in left) / 3600
        rows.append([command, count, len(left), f"{hours:.2f}" if all(map(expected.seconds.get, left)) else None])
    facts: dict[str, Any] = {
        "study": study.name,
        "steps": len(steps),
        "to_do": len(todo),
        "seconds": seconds,
        "seconds_by_step": {step.name: round(expected.seconds[step.digest], 1) for step in todo if seconds},
        "bytes": sum(expected.bytes.values()) if seconds is not None else None,
        "bytes_of_done": sum(_size(place.work(each)) for each in steps if place.is_done(each)),
        "free_bytes": shutil.disk_usage(
            next(p for p in (place.root, *place.root.absolute().parents) if p.exists())
        ).free,
        "commands": [" ".join(["edgekd", *place.arguments(step)]) for step in todo],
    }
    time_words = "unknown" if seconds is None else f"about {_duration(seconds)}, {jobs} at a time"
    size = "unknown" if facts["bytes"] is None else f"about {facts['bytes'] / 1e6:,.1f} MB"
    lines = [
        f"time: {time_words}, by a few timed steps of each training",
        f"disk: {size} more, {facts['bytes_of_done'] / 1e6:,.1f} MB by what is done, "
        f"{facts['free_bytes'] / 1e9:,.1f} GB free",
        *facts["commands"],
    ]
    table = Table(f"edgekd study {study.name}", ["command", "steps", "to do", "hours"], rows)
    return Result(facts, [table], lines)


def _duration(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds < 600 else f"{seconds / 3600:,.1f} h"  # noqa: PLR2004 - ten minutes


def _size(work: Path | None) -> int:
    if work is None or not work.exists():
        return 0
    folder = work if work.is_dir() else work.parent
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
