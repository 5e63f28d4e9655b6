"""What the arms of a study came to: figures by seed, their spread, and differences of arms that share seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from edgekd.report import Cell, Table
from edgekd.studies.plan import Arm
from edgekd.studies.schedule import Outcome
from edgekd.studies.statistics import compare, spread_of
from edgekd.studies.steps import TRAINING, Place, Step

RUN_FIGURES = ("test_top1", "val_top1", "params", "macs", "train_seconds", "peak_rss_mb")
SHOWN = {
    "test_top1": ("test accuracy, %", 100.0, 2),
    "teacher_top1": ("teacher's, %", 100.0, 2),
    "file_top1": ("file's, %", 100.0, 2),
    "train_seconds": ("training, s", 1.0, 1),
    "peak_rss_mb": ("peak memory, MB", 1.0, 0),
    "params": ("parameters", 1.0, 0),
    "macs": ("multiply-adds", 1.0, 0),
    "latency_ms": ("latency, ms", 1.0, 3),
    "file_bytes": ("file, bytes", 1.0, 0),
}
"""Figures of the table: heading, factor, digits."""
COMPARED = "test_top1"

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
            found |= {"file_top1": result["test"]["top1"], "file_bytes": result["size_bytes"]}
        if step.command == "profile":
            found["latency_ms"] = result["models"][0]["measurements"][0]["latency_ms"]["mean"]
    return {name: float(value) for name, value in found.items() if value is not None}


def describe(arms: Sequence[Arm], baseline: str, outcome: Outcome, place: Place) -> dict[str, Any]:
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
        names = [name for name in SHOWN if any(name in each for each in seeds.values())]
        spreads = {name: spread_of([each[name] for each in seeds.values() if name in each]) for name in names}
        failures = {
            seed: next(outcome.failures[step.digest] for step in chain if step.digest in outcome.failures)
            for seed, chain in arm.chains.items()
            if any(step.digest in outcome.failures for step in chain)
        }
        rows.append(
            {
                "name": arm.name,
                "seeds": {str(seed): figures for seed, figures in seeds.items()},
                "spread": {name: asdict(each) for name, each in spreads.items()},
                "failures": {str(seed): words for seed, words in failures.items()},
                "steps": {str(seed): [_step(each, place) for each in chain] for seed, chain in arm.chains.items()},
            }
        )
    return {"baseline": baseline, "arms": rows, "differences": _differences(done, baseline)}


def _step(step: Step, place: Place) -> dict[str, Any]:
    work = place.work(step)
    return {
        "command": " ".join(["edgekd", *(each for each in place.arguments(step) if each != "--resume")]),
        "digest": step.digest,
        "work": None if work is None else str(work),
    }


def _differences(done: Mapping[str, Mapping[int, Mapping[str, float]]], baseline: str) -> list[dict[str, Any]]:
    """The compared figure of every other arm minus the baseline's, over shared seeds."""
    values = {
        name: {seed: each[COMPARED] for seed, each in seeds.items() if COMPARED in each} for name, seeds in done.items()
    }
    found = ((name, compare(mine, values.get(baseline, {}))) for name, mine in values.items() if name != baseline)
    return [{"arm": name, "figure": COMPARED, **asdict(each)} for name, each in found if each is not None]


def tables_of(facts: Mapping[str, Any]) -> list[Table]:
    """The table of arms."""
    there = [name for name in SHOWN if any(name in arm["spread"] for arm in facts["arms"])]
    compared = {each["arm"]: each for each in facts["differences"]}
    rows: list[list[Cell]] = []
    for arm in facts["arms"]:
        count = len(arm["seeds"])
        row: list[Cell] = [arm["name"], f"{count} of {len(arm['steps'])}"]
        row += [_spread_words(arm["spread"].get(name), *SHOWN[name][1:]) for name in there]
        rows.append([*row, _difference_words(compared.get(arm["name"]))])
    columns = ["arm", "seeds", *(SHOWN[name][0] for name in there), f"against {facts['baseline']}, points"]
    spare = [
        SHOWN[name][0] for name in ("macs", "params", "peak_rss_mb", "file_bytes", "train_seconds") if name in there
    ]
    return [Table(facts.get("study", "study"), columns, rows, spare)]


def _spread_words(found: Mapping[str, Any] | None, factor: float, digits: int) -> str:
    if found is None:
        return "-"
    mean = f"{found['mean'] * factor:,.{digits}f}"
    return f"{mean} ± {found['sd'] * factor:,.{digits}f}" if found["sd"] else mean


def _difference_words(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    words = f"{found['mean'] * 100:+.2f}"
    if found["low"] is None:
        return words
    return f"{words} [{found['low'] * 100:.2f}, {found['high'] * 100:.2f}]"
