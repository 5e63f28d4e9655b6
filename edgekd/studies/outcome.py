"""What the arms of a study came to: figures by seed, their spread, and differences of arms that share seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from edgekd.report import Cell, Table
from edgekd.reporting.study_page import FIGURES, cross_table, spread_words
from edgekd.studies.plan import Arm, Study
from edgekd.studies.schedule import Outcome
from edgekd.studies.statistics import compare, spread_of
from edgekd.studies.steps import TRAINING, Place, Step

RUN_FIGURES = ("test_top1", "val_top1", "params", "macs", "steps", "train_seconds", "peak_rss_mb")
SHOWN = ("test_top1", *(each for each in FIGURES if each not in ("test_top1", "val_top1")))
"""Figures of the table, in this order."""
SPARE = ("macs", "params", "peak_rss_mb", "steps", "file_bytes", "chain_seconds", "inference_mb", "train_seconds")
"""Figures in the order in which they are left out where there is no room."""

Record = Mapping[str, Any]


def figures_of(chain: Sequence[Step], records: Mapping[str, Record]) -> dict[str, float]:
    """The figures of one seed's chain, whose steps are all done."""
    found: dict[str, Any] = {}
    trained = [each for each in chain if each.command in TRAINING]
    for step in trained:
        result = records[step.digest]["result"]
        if step.command == "train-teacher" and step is not trained[-1]:
            found["teacher_top1"] = result.get("test_top1")
        if step is trained[-1]:
            found |= {name: result.get(name) for name in RUN_FIGURES}
    for step in chain:
        result = records[step.digest]["result"]
        if step.command == "export":
            found |= _of_file(result, str(step.options.get("quantize", "none")))
        if step.command == "profile":
            measured = result["models"][0]["measurements"][0]
            found |= {"latency_ms": measured["latency_ms"]["mean"], "inference_mb": measured["memory_mb"]["added"]}
    found["chain_seconds"] = sum(_seconds(step, records[step.digest]) for step in chain)
    return {name: float(value) for name, value in found.items() if value is not None}


def _of_file(result: Record, kind: str) -> dict[str, Any]:
    """Accuracy and size of the exported file: that of the number format asked for, which later steps take."""
    for each in result.get("files", ()):
        if each["kind"] == kind:
            return {"file_top1": each["test_top1"], "file_bytes": each["size_bytes"]}
    return {"file_top1": result["test"]["top1"], "file_bytes": result["size_bytes"]}


def _seconds(step: Step, record: Record) -> float:
    """Of training or of filling a cache; 0 of what only measures."""
    if step.command in TRAINING:
        return float(record["result"]["train_seconds"])
    return float(record["seconds"]) if step.command == "cache-logits" else 0.0


def describe(arms: Sequence[Arm], study: Study, outcome: Outcome, place: Place) -> dict[str, Any]:
    """Arms with their seeds, spreads, steps and differences to the baseline, as plain JSON values."""
    done: dict[str, dict[int, dict[str, float]]] = {}
    rows = []
    for arm in arms:
        seeds = {
            seed: figures_of(chain, outcome.records)
            for seed, chain in arm.chains.items()
            if all(step.digest in outcome.records for step in chain)
        }
        done[arm.name] = seeds
        names = [name for name in FIGURES if any(name in each for each in seeds.values())]
        spreads = {name: spread_of([each[name] for each in seeds.values() if name in each]) for name in names}
        failures = {
            seed: next(outcome.failures[step.digest] for step in chain if step.digest in outcome.failures)
            for seed, chain in arm.chains.items()
            if any(step.digest in outcome.failures for step in chain)
        }
        rows.append(
            {
                "name": arm.name,
                "point": dict(arm.point),
                "seeds": {str(seed): figures for seed, figures in seeds.items()},
                "spread": {name: asdict(each) for name, each in spreads.items()},
                "failures": {str(seed): words for seed, words in failures.items()},
                "steps": {str(seed): [_step(each, place) for each in chain] for seed, chain in arm.chains.items()},
            }
        )
    found = _differences(done, study.baseline, study.compared)
    return {"baseline": study.baseline, "compared": study.compared, "arms": rows, "differences": found}


def _step(step: Step, place: Place) -> dict[str, Any]:
    work = place.work(step)
    return {
        "command": " ".join(["edgekd", *(each for each in place.arguments(step) if each != "--resume")]),
        "digest": step.digest,
        "work": None if work is None else str(work),
    }


def _differences(
    done: Mapping[str, Mapping[int, Mapping[str, float]]], baseline: str, figure: str
) -> list[dict[str, Any]]:
    """The compared figure of every other arm minus the baseline's, over shared seeds."""
    values = {
        name: {seed: each[figure] for seed, each in seeds.items() if figure in each} for name, seeds in done.items()
    }
    found = ((name, compare(mine, values.get(baseline, {}))) for name, mine in values.items() if name != baseline)
    return [{"arm": name, "figure": figure, **asdict(each)} for name, each in found if each is not None]


def tables_of(facts: Mapping[str, Any]) -> list[Table]:
    """The table of arms, and of two axes of names the accuracies by both."""
    there = [name for name in SHOWN if any(name in arm["spread"] for arm in facts["arms"])]
    compared = {each["arm"]: each for each in facts["differences"]}
    rows: list[list[Cell]] = []
    for arm in facts["arms"]:
        count = len(arm["seeds"])
        row: list[Cell] = [arm["name"], f"{count} of {len(arm['steps'])}"]
        row += [spread_words(arm["spread"].get(name), name) for name in there]
        rows.append([*row, _difference_words(compared.get(arm["name"]))])
    figure = "" if facts["compared"] == "test_top1" else f" in {FIGURES[facts['compared']]}"
    columns = ["arm", "seeds", *(FIGURES[name] for name in there), f"against {facts['baseline']}{figure}, points"]
    spare = [FIGURES[name] for name in SPARE if name in there]
    cross = cross_table(facts["arms"])
    return [Table(facts.get("study", "study"), columns, rows, spare), *([cross] if cross else [])]


def _difference_words(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    words = f"{found['mean'] * 100:+.2f}"
    if found["low"] is None:
        return words
    return f"{words} [{found['low'] * 100:.2f}, {found['high'] * 100:.2f}]"
