"""`edgekd devices`: list the device profiles, show one, or make one of this machine."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgekd import runs
from edgekd.config import Devices
from edgekd.errors import UsageError
from edgekd.profiling.device.host import read_host
from edgekd.profiling.device.identity import identify
from edgekd.profiling.device.own_profile import name_of_host, profile_of_host
from edgekd.profiling.device.profiles import Device, find_device, names
from edgekd.profiling.judge.budget import BudgetLimits
from edgekd.profiling.tables import whole
from edgekd.report import Cell, Reporter, Result, Table

SPARE = ("device", "processor", "train min", "batch", "parameters", "threads", "file MB")
"""Columns that a narrow terminal does without, the first of them first."""

_LIMITS = ("max_latency_ms", "max_rss_mb", "max_size_mb", "max_params", "max_train_minutes")


def run(config: Devices, report: Reporter) -> Result:
    """List, show or make profiles; raises ProfileError for an unknown or wrong one."""
    if config.action == "show":
        return _show(config)
    return _new(config, report) if config.action == "new" else _list()


def _list() -> Result:
    devices = [find_device(name) for name in names()]
    rows: list[list[Cell]] = []
    for device in devices:
        limits = [whole(getattr(device.budget, name)) for name in _LIMITS]
        rows.append([device.name, device.title, device.cpu.model, device.cpu.threads, device.batch, *limits])
    columns = [
        "name",
        "device",
        "processor",
        "threads",
        "batch",
        "ms",
        "memory MB",
        "file MB",
        "parameters",
        "train min",
    ]
    data = {"devices": [_plain(device) for device in devices]}
    lines = ["The limits are targets, not figures measured on these boards; flags of edgekd profile win over them."]
    return Result(data, [Table("Device profiles and their limits", columns, rows, SPARE)], lines)


def _show(config: Devices) -> Result:
    if config.name is None:
        raise UsageError("devices show: which one?", f"edgekd devices show NAME; {', '.join(names())}")
    device = find_device(config.name)
    identity = identify(device, read_host())
    data = _plain(device) | {"is_this_machine": identity.is_device}
    rows: list[list[Cell]] = [
        [f"{key}.{part}" if part else key, _cell(value)]
        for key, table in _plain(device).items()
        for part, value in (table.items() if isinstance(table, dict) else [("", table)])
        if value not in (None, [], "")
    ]
    words = "this machine is it" if identity.is_device else identity.statement
    return Result(data, [Table(device.title, ["field", "value"], rows)], [words])


def _new(config: Devices, report: Reporter) -> Result:
    if not config.from_host:
        raise UsageError("devices new: of which machine?", "add --from-host to take this machine's figures")
    host = read_host()
    name = config.name or name_of_host(host)
    path = config.output or Path(f"{name}.toml")
    if path.exists():
        raise UsageError(f"{path}: this file exists already", "give another --output, or remove it")
    with runs.atomic(path) as beside:
        beside.write_text(profile_of_host(host), encoding="utf-8")
    device = find_device(str(path))
    report.note(f"edit the limits in {path}, then: edgekd profile --device {path}")
    return Result(_plain(device) | {"path": str(path)}, lines=[f"{path}: written for {device.title}"])


def _plain(device: Device) -> dict[str, Any]:
    stated = BudgetLimits(device.budget, device.batch).stated
    percentile = {"percentile": device.budget.percentile} if device.budget.percentile is not None else {}
    found = asdict(device) | {"budget": {**stated, **percentile, "batch": device.batch}, "path": str(device.path)}
    del found["batch"]
    return {key: _listed(value) for key, value in found.items()}


def _listed(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {key: _listed(each) for key, each in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _cell(value: Any) -> Cell:  # noqa: ANN401
    return ", ".join(map(str, value)) if isinstance(value, list) else value
