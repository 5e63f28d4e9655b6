"""`distill --compare-alone` and `--seeds`: the same student distilled and alone, and what distilling brought."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.compute.evaluate import EXACT, logits_of
from edgekd.config import Code, Data, Distill, Training, TrainTeacher
from edgekd.data.sources import open_data
from edgekd.declaration import from_dict
from edgekd.errors import UsageError
from edgekd.images.imageset import ImageData
from edgekd.models.trained import load_network
from edgekd.ranks import place
from edgekd.recipes import train_teacher
from edgekd.report import Cell, Reporter, Result, Silent, Table
from edgekd.runs import Run
from edgekd.training.gain import Gain, Rows, gain_of
from edgekd.training.summary import summary

Distil = Callable[[Distill, Reporter], Result]
BATCH = 250
OPEN_ENDED = ("patience", "time_limit")
"""Options that would end the student alone at another step."""


def compare(config: Distill, distil: Distil, report: Reporter) -> Result:
    """Distil and train alone with each seed; the first seed's summary, with the gain over all.

    `distil` makes one run. Raises UsageError where several processes train together.
    """
    if place().world > 1:
        raise UsageError("--compare-alone: needs one process", "start it without torchrun")
    pairs: list[tuple[Run, Run]] = []
    for number in range(config.seeds):
        asked = config if number == 0 else _with_seed(config, pairs[0][0], config.seed + number)
        taught = Run(Path(distil(asked, report).data["run"]))
        pairs.append((taught, _train_alone(taught, config, report)))
    data = _data_of(pairs[0][0])
    right = [[answers(run, data, config) for run in pair] for pair in pairs]
    gain = gain_of([taught for taught, _ in right], [alone for _, alone in right])
    if gain.low <= 0:
        report.warn(f"the gain {gain} may be chance: its interval holds 0" if gain.high > 0 else f"no gain: {gain}")
    first = summary(pairs[0][0])
    runs = [{"distilled": str(taught.path), "alone": str(alone.path)} for taught, alone in pairs]
    told = {**first.data, "gain": {**gain.as_dict(), "runs": runs}}
    return Result(told, [*first.tables, _table(pairs, right, gain)])


def answers(run: Run, data: ImageData, code: Code) -> Rows:
    """Which labelled test images the run's network knows, computed in fp32, `[images]`."""
    found = [
        (logits.argmax(1) == target).cpu().numpy()[(target >= 0).cpu().numpy()]
        for logits, target in logits_of(load_network(run, code), data.test, BATCH, EXACT)
    ]
    return np.concatenate(found)


def _with_seed(config: Distill, first: Run, seed: int) -> Distill:
    """The same lesson with another seed, in the number format that the first one chose."""
    settled, name = first.manifest()["config"], f"{first.path.name}-s{seed}"
    form = {each: settled[each] for each in ("precision", "memory_format")}
    is_there = Run(config.runs / name).is_there
    return replace(config, name=name, seed=seed, resume=config.resume and is_there, **form)


def _train_alone(taught: Run, config: Distill, report: Reporter) -> Run:
    """The run beside `taught`, trained as far as it is not finished: the same student for as many steps."""
    run = Run(config.runs / f"{taught.path.name}-alone")
    asked = alone_options(taught, run, config)
    report.note(f"alone: {run.path}, {asked.steps:,} steps on labels only")
    train_teacher.run(asked, report)
    return run


def alone_options(taught: Run, run: Run, config: Distill) -> TrainTeacher:
    """The options of the student alone: those of the finished distillation, without its teacher."""
    manifest = taught.manifest()
    settled: dict[str, Any] = manifest["config"] | manifest["data"]["options"]
    shared = {each.name: settled[each.name] for each in fields(Training) if each.name in settled}
    steps = manifest["result"]["steps"]
    own = {
        "model": settled["student"],
        "weights": settled.get("student_weights"),
        "input_size": settled.get("input_size"),
        "name": run.path.name,
        "runs": str(config.runs),
        "resume": config.resume and run.is_there,
        "overwrite": config.overwrite,
        # an epoch has at least one step, so the number of steps alone decides
        "steps": steps,
        "epochs": steps,
    }
    open_ended = dict.fromkeys(OPEN_ENDED)
    found = from_dict(TrainTeacher, shared | open_ended | own, str(taught.path / "manifest.json"))
    from_record = () if settled["student"] == config.student else ("model",)
    return replace(found, trust_code=config.trust_code, from_record=from_record)


def _data_of(run: Run) -> ImageData:
    return open_data(from_dict(Data, run.manifest()["data"]["options"], str(run.path / "manifest.json")), Silent())


def _table(pairs: list[tuple[Run, Run]], right: list[list[Rows]], gain: Gain) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (run.manifest()["config"]["seed"], *(f"{each.mean():.2%}" for each in known), _points(known))
        for (run, _), known in zip(pairs, right, strict=True)
    ]
    if len(rows) > 1:
        means = [float(np.mean([known[at].mean() for known in right])) for at in (0, 1)]
        rows.append(("mean", *(f"{each:.2%}" for each in means), f"{100 * gain.mean:+.2f}"))
    return Table(f"distilled against alone: {gain}", ("seed", "distilled", "alone", "gain, points"), rows)


def _points(known: list[Rows]) -> str:
    return f"{100 * (known[0].mean() - known[1].mean()):+.2f}"
