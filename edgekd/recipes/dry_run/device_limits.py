"""Whether a network can meet a device's limits at all: its file, memory and latency do not depend on training."""

from dataclasses import replace
from typing import Any

from edgekd.errors import CheckFailed
from edgekd.profiling.judge.budget import Check
from edgekd.profiling.tables import check_of, whole
from edgekd.report import Cell, Table


def judge_untrained(found: dict[str, Any], train_seconds: float | None) -> dict[str, Any]:
    """The verdicts that hold before training; `train_seconds` is the forecast.

    A limit is unknown (passed: None) when training decides it, and a latency when this machine is another than the
    device. `can_meet` is False when a known limit is broken, None when some are unknown or none are stated.
    """
    elsewhere = found["is_device"] is False
    checks = [_known_now(check_of(each), train_seconds, elsewhere) for each in found["models"][0]["checks"]]
    verdicts = {check.passed for check in checks} or {None}
    return {
        **found["device"],
        "is_device": found["is_device"],
        "statement": found["statement"],
        "percentile": found["percentile"],
        "checks": [check.as_dict() for check in checks],
        "can_meet": False if False in verdicts else None if None in verdicts else True,
    }


def _known_now(check: Check, train_seconds: float | None, elsewhere: bool) -> Check:
    if check.limit == "min_top1":
        return replace(check, value=None, passed=None, note="unknown before training")
    if check.limit == "max_train_minutes":
        minutes = None if train_seconds is None else train_seconds / 60
        return replace(check, value=minutes, passed=None, note="a forecast: decided by the training")
    if check.limit == "max_latency_ms" and elsewhere:
        return replace(check, passed=None, note="measured here, which is not the device")
    return check


def broken(judged: dict[str, Any], model: str) -> CheckFailed | None:
    """The failure when a known limit is broken already."""
    missed = [check for check in map(check_of, judged["checks"]) if check.passed is False]
    if not missed:
        return None
    each = missed[0]
    more = f" (and {len(missed) - 1} more)" if len(missed) > 1 else ""
    words = f"{each.what} is {each.value:.4g}, limit {each.allowed:.4g} {each.unit}".rstrip()
    return CheckFailed(f"{model} cannot meet {judged['name']}: {words}{more}", "a smaller --student, or another device")


def limits_table(judged: dict[str, Any]) -> Table:
    """One line for each limit."""
    rows: list[list[Cell]] = [
        [check.what, whole(check.allowed), check.value, check.unit, check.verdict, check.note]
        for check in map(check_of, judged["checks"])
    ]
    return Table(f"Limits of {judged['title']}", ["what", "limit", "now", "unit", "verdict", "note"], rows)


def limits_line(judged: dict[str, Any]) -> str:
    """The verdict in words."""
    known = [each["passed"] for each in judged["checks"] if each["passed"] is not None]
    if judged["can_meet"] is False:
        return f"FAIL: limits of {judged['name']} are broken before any training"
    unknown = len(judged["checks"]) - len(known)
    return f"{judged['name']}: limits kept: {len(known)}; to be seen after training, or on the device: {unknown}"
