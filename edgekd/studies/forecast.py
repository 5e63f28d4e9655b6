"""How long and how large a study will be: a few real steps of every kind of training it holds, timed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgekd.profiling.device.conditions import explain, read_conditions
from edgekd.report import Reporter
from edgekd.studies.schedule import carry_out
from edgekd.studies.steps import TRAINING, Place, Step, in_order
from edgekd.training.schedule import seconds_of

STARTING = 4.0
"""Seconds that every step takes beside its work: to start, to open the data, to test."""
MEASURING = 20.0
"""Seconds of an export, a profile or an evaluation."""
UNTIMED = ("seed", "alpha", "temperature", "lr", "weight_decay", "time_limit", "patience")
"""Options that do not change how long a step of training takes."""
STATES = 4
"""Copies of the weights in a run's folder: best, last, and two moments of the optimiser."""
_ANY_TEACHER = "tiny-cnn"

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Forecast:
    """Seconds and bytes of every step by digest; `reasons` where a training could not be rehearsed."""

    seconds: Mapping[str, float]
    bytes: Mapping[str, int]
    reasons: Sequence[str]


def forecast(steps: Sequence[Step], report: Reporter) -> Forecast:
    """Rehearse every kind of training among `steps` (edgekd distill --dry-run) and work out each step's share."""
    conditions = read_conditions()
    for words in explain(conditions, conditions):
        report.warn(words)
    wanted = {step.digest: _rehearsals(step) for step in steps if step.command in (*TRAINING, "cache-logits")}
    with TemporaryDirectory(prefix="edgekd-study-") as folder:
        outcome = carry_out(in_order(list(wanted.values())), Place(Path(folder)), report)
    seconds: dict[str, float] = {}
    size: dict[str, int] = {}
    for step in steps:
        found = [outcome.records.get(each.digest) for each in wanted.get(step.digest, ())]
        known = [each["result"] for each in found if each is not None]
        if len(known) == len(found):
            seconds[step.digest] = STARTING + _seconds(step, known)
            size[step.digest] = _bytes(step, known)
    return Forecast(seconds, size, list(dict.fromkeys(outcome.failures.values())))


def _rehearsals(step: Step) -> list[Step]:
    """The dry runs that time a step: one for each network that it trains."""
    if step.command == "cache-logits":
        return [_rehearsal(step, _ANY_TEACHER, _network(step.parents["teacher"]), step.options)]
    options = {key: value for key, value in step.options.items() if key not in ("model", "student", "freeze", "peers")}
    if step.command != "distill":
        return [_rehearsal(step, _network(step), _ANY_TEACHER, options)]
    peers = step.options.get("peers", [])
    source = step.parents.get("cache") or step.parents.get("teacher")
    teacher = _ANY_TEACHER if source is None else _network(source)
    networks = [_network(step), *peers]
    return [_rehearsal(step, each, teacher, options) for each in networks]


def _rehearsal(step: Step, student: str, teacher: str, options: Facts) -> Step:
    kept = {key: value for key, value in options.items() if key not in (*UNTIMED, "live", "layer_decay")}
    if "time_limit" in step.options:
        kept["epochs"] = 1
    return Step("distill", kept | {"student": student, "teacher": teacher, "dry_run": True})


def _network(step: Step) -> str:
    """The name of the network that a step trains, or that its start or teacher has."""
    own = step.options.get("student") or step.options.get("model")
    return str(own) if own else _network(next(iter(step.parents.values())))


def _seconds(step: Step, found: Sequence[Facts]) -> float:
    if not found:
        return MEASURING
    if step.command == "cache-logits":
        return float(found[0]["forecast"]["filling_seconds"])
    if "time_limit" in step.options:
        return seconds_of(step.options["time_limit"])
    kind = "plain" if step.command != "distill" or step.options.get("peers") else "live"
    kind = "cached" if step.command == "distill" and "cache" in step.parents else kind
    return sum(float(each["forecast"]["epochs"] * each["forecast"][f"{kind}_epoch_seconds"]) for each in found)


def _bytes(step: Step, found: Sequence[Facts]) -> int:
    if step.command == "cache-logits":
        cache = found[0]["cache"]
        return int(cache["size_bytes"][cache["store"]])
    return sum(4 * STATES * int(each["student"]["params"]) for each in found)
