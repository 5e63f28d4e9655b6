"""Whether a network can meet a device's limits at all: its file, memory and latency do not depend on training."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from edgekd import __version__
from edgekd.config import Export, Profile
from edgekd.errors import CheckFailed
from edgekd.exporting.onnx import write_onnx
from edgekd.models.cost import measure
from edgekd.models.network import Network
from edgekd.profiling.judge.budget import Check
from edgekd.profiling.survey import survey
from edgekd.profiling.tables import check_of, whole
from edgekd.report import Cell, Reporter, Table
from edgekd.runs import slug
from edgekd.runtimes.record import FORMAT

WARM_UP_SECONDS = 0.5
SECONDS = 2.0


def measure_untrained(network: Network, device: str, report: Reporter) -> dict[str, Any]:
    """What `edgekd profile --device` says of the network's export, which is removed again; on the CPU."""
    spec, cost = network.spec, measure(network.spec)
    facts = {"format": FORMAT, "edgekd": __version__, "model": spec.name, "input_size": spec.input_size}
    facts |= {"params": cost.parameters, "macs": cost.macs}
    example = torch.zeros(2, spec.channels, spec.input_size, spec.input_size)
    with TemporaryDirectory(prefix="edgekd-dry-run-") as folder:
        path = Path(folder) / f"{slug(spec.name)}.onnx"
        write_onnx(network.backbone, example, path, Export().opset, facts)
        found = survey(Profile(models=(str(path),), device=device, warmup=WARM_UP_SECONDS, duration=SECONDS), report)
    for words in found["warnings"]:
        # That load is the dry run's own; whether there was another is told at its start.
        if "load average" not in words:
            report.warn(words)
    return found


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
