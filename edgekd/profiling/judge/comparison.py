"""Several models against one another, and each against a baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgekd.profiling.judge import baseline
from edgekd.profiling.measure.measuring import Measured

Entry = dict[str, Any]


@dataclass(frozen=True)
class Changes:
    """The comparison's rows, and words on what could not be compared."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def pick_winner(models: Sequence[Entry]) -> dict[str, str] | None:
    """The most accurate of several models that keep the limits, or the fastest where accuracy is not known.

    None when there is only one model, or none keeps the limits.
    """
    fit = [model for model in models if model["passed"] is not False]
    if len(models) < 2 or not fit:
        return None
    among = "of those within the limits" if any(model["passed"] for model in models) else "of those measured"
    tops = [top1_of(model) for model in fit]
    if all(top is not None for top in tops):
        best = max(fit, key=lambda model: (top1_of(model) or 0.0, -model["judged"]["latency_ms"]))
        return {"name": best["name"], "reason": f"the most accurate {among}"}
    best = min(fit, key=lambda model: float(model["judged"]["latency_ms"]))
    return {"name": best["name"], "reason": f"the fastest {among}"}


def top1_of(model: Entry) -> float | None:
    """Accuracy measured here, else the one recorded at export."""
    if model["accuracy"]:
        return float(model["accuracy"]["top1"])
    recorded = model["record"].get("top1")
    return None if recorded is None else float(recorded)


def compare(
    before: Entry | None,
    measured: Mapping[str, tuple[Measured, Measured | None]],
    models: Sequence[Entry],
    machine: Entry,
    noise: float,
) -> Changes:
    """Every model against its partner in the baseline."""
    found = Changes()
    for model in models if before else ():
        partner = baseline.partner(before or {}, model["name"])
        if partner is None:
            found.warnings.append(f"{model['name']}: the baseline has no such model; nothing to compare it with")
            continue
        changes = baseline.compare_stored(model, partner, noise)
        ours, theirs = measured[model["name"]]
        if theirs is not None:
            changes.append(baseline.compare_latency_paired(model["name"], ours, theirs, noise))
            changes += baseline.compare_memory(model["name"], ours, theirs, noise)
        else:
            stored = _stored(before or {}, partner, ours, machine)
            if isinstance(stored, str):
                found.warnings.append(f"{model['name']}: latency and memory are not compared: {stored}")
            else:
                changes += baseline.compare_unpaired(model["name"], ours.figures, stored, noise)
        found.rows.extend(baseline.as_dicts(changes))
    return found


def _stored(before: Entry, partner: Entry, ours: Measured, machine: Entry) -> Entry | str:
    """The baseline's own figures, or words on why they do not count."""
    if not baseline.same_machine(machine, before["machine"]):
        return f"the baseline was taken on another machine ({before['machine']['title']}), and its model is not here"
    stored = baseline.same_setting(partner, ours.figures)
    if stored is None:
        return "the baseline has other batch sizes or threads"
    return stored
