"""What a search came to: search.json, which `edgekd report` makes its page of, and the table on the console."""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from edgekd.report import Cell, Table
from edgekd.studies.searching.space import FIXED
from edgekd.studies.searching.trials import FACTS, REDUCTION

FORMAT = 1
"""Version of search.json."""
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "stopped early",
    TrialState.RUNNING: "at work",
    TrialState.WAITING: "waiting",
    TrialState.FAIL: "failed",
}


def describe_trial(trial: FrozenTrial) -> dict[str, Any]:
    """One trial as plain JSON values; `top1` is by validation after its last rung."""
    facts = trial.user_attrs.get(FACTS, {})
    by_rung = [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]
    state = "too slow to train" if facts.get("is_slow") and not by_rung else STATES[trial.state]
    # a missed limit is a fact of the student, its speed in training one of the machine at that hour
    state = "does not fit" if facts.get("fits") is False else state
    return {
        "params": {"model": facts.get("model", trial.user_attrs.get(FIXED)), **_taught(trial), "rungs": len(by_rung)},
        "by_rung": by_rung,
        "top1": by_rung[-1] if by_rung else None,
        "latency_ms": facts.get("latency_ms"),
        "size_bytes": facts.get("size_bytes"),
        "params_count": facts.get("params_count"),
        "macs": facts.get("macs"),
        "state": state,
        "failure": facts.get("failure"),
    }


def _taught(trial: FrozenTrial) -> dict[str, Any]:
    return {name: trial.params[name] for name in ("alpha", "temperature") if name in trial.params}


def front_of(trials: Sequence[Mapping[str, Any]]) -> list[int]:
    """Places of the trials that none beats in both accuracy and latency, from the fastest on."""
    known = [(each["latency_ms"], -each["top1"], place) for place, each in enumerate(trials) if _is_known(each)]
    front: list[int] = []
    best = 0.0
    for _, top1, place in sorted(known):
        if not front or top1 < best:
            front.append(place)
            best = top1
    return front


def _is_known(trial: Mapping[str, Any]) -> bool:
    return trial["top1"] is not None and trial["latency_ms"] is not None


def best_of(trials: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The most accurate: two trials are compared after the longest rung that both have; None where none was trained."""
    known = [each for each in trials if _is_known(each)]
    known.sort(key=lambda each: (-len(each["by_rung"]), -each["top1"], each["latency_ms"]))
    best = known[0] if known else None
    for each in known[1:]:
        if best is not None and lead_of(each, best) > 0:
            best = each
    return best


def lead_of(trial: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """By how much a trial is more accurate than another after the longest rung that both have."""
    common = min(len(trial["by_rung"]), len(other["by_rung"])) - 1
    return float(trial["by_rung"][common] - other["by_rung"][common])


def facts_of(name: str, trials: Sequence[Mapping[str, Any]], limits: Mapping[str, float]) -> dict[str, Any]:
    """search.json, but for the winner."""
    budget = dict(limits)
    if "max_size_mb" in budget:
        budget["max_size_bytes"] = budget["max_size_mb"] * 1e6
    return {
        "format": FORMAT,
        "name": name,
        "reduction": REDUCTION,
        "trials": list(trials),
        "front": front_of(trials),
        "budget": budget,
    }


def front_table(facts: Mapping[str, Any]) -> Table:
    """The Pareto front."""
    rows: list[list[Cell]] = []
    for place in facts["front"]:
        each = facts["trials"][place]
        rows.append(
            [
                each["params"]["model"],
                f"{each['top1']:.2%}",
                each["params"]["rungs"],
                each["latency_ms"],
                each["params_count"],
                each["size_bytes"],
            ]
        )
    columns = ("student", "validation top-1", "rungs", "latency, ms", "parameters", "file, bytes")
    return Table("Pareto front of the short trainings", columns, rows, ("file, bytes", "rungs"))
