"""`distill --generations N`: born-again networks, each student the teacher of the next.

Furlanello, Lipton, Tschannen, Itti, Anandkumar (2018), arXiv 1805.04770: a student of its teacher's size passes it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edgekd.config import Distill
from edgekd.errors import UsageError
from edgekd.ranks import place
from edgekd.report import Reporter, Result, Table
from edgekd.runs import Run
from edgekd.training.claim import settle_name
from edgekd.training.summary import summary


def raise_generations(
    config: Distill, made: str, distil: Callable[[Distill, Reporter], Result], report: Reporter
) -> Result:
    """Distil generation after generation; the last one's summary, with a table of all.

    `made` names the last run where the options do not: the earlier ones are NAME-g1, NAME-g2, ... The first learns from
    the teacher requested; every one starts from weights of its own seed. Raises UsageError where several processes
    train together.
    """
    if place().world > 1:
        raise UsageError("--generations: needs one process", "start it without torchrun")
    name = settle_name(config, made, report)
    runs = [Run(config.runs / f"{name}-g{number}") for number in range(1, config.generations)]
    runs.append(Run(config.runs / name))
    for number, run in enumerate(runs):
        asked = replace(
            config, generations=1, name=run.path.name, seed=config.seed + number, resume=config.resume and run.is_there
        )
        if number:
            asked = replace(asked, teacher=str(runs[number - 1].path), teacher_weights=None, cache=())
        report.note(f"generation {number + 1} of {len(runs)}: {run.path}")
        distil(asked, report)
    last = summary(runs[-1])
    facts = [_facts(run) for run in runs]
    rows = [
        (number, each["run"], each["learned from"], *(_percent(each[name]) for name in ("test_top1", "val_top1")))
        for number, each in enumerate(facts, 1)
    ]
    columns = ("generation", "run", "learned from", "test accuracy", "validation")
    return Result({**last.data, "generations": facts}, [*last.tables, Table("generations", columns, rows)])


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.2%}"


def _facts(run: Run) -> dict[str, Any]:
    manifest = run.manifest()
    taught, result = manifest["parents"].get("teacher") or {}, manifest["result"]
    teacher = taught.get("name") or taught.get("run") or taught.get("file") or "several"
    return {
        "run": str(run.path),
        "learned from": str(teacher),
        "test_top1": result["test_top1"],
        "val_top1": result["val_top1"],
    }
