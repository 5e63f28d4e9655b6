"""What students cost before any training, against the limits: counted, then measured once for each architecture."""

import hashlib
import json
import platform
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from edgekd.config import Budget, Profile, Search
from edgekd.errors import CheckFailed, CheckpointError, UsageError
from edgekd.exporting.latency import measure_untrained
from edgekd.images.imageset import ImageData
from edgekd.models.build import build, plan
from edgekd.models.cost import measure
from edgekd.profiling.device.host import read_host
from edgekd.profiling.device.profiles import find_device
from edgekd.profiling.judge.budget import merge
from edgekd.reading import read_json
from edgekd.report import Silent
from edgekd.runs import slug, write_json

COUNTED = ("max_params", "max_macs")
"""Limits that are known without a file."""
UNTRAINED = (*COUNTED, "max_size_mb", "max_latency_ms", "max_rss_mb", "max_energy_mj")
"""Limits that do not depend on training."""


@dataclass(frozen=True)
class Cost:
    """Parameters, multiply-adds; file size, latency at the judged percentile and statement of the host where measured.

    `excess`: by how much each known limit is exceeded, as a share of it; 0 or below: it is kept.
    """

    params: int
    macs: int
    size_bytes: int | None = None
    latency_ms: float | None = None
    statement: str = ""
    values: dict[str, float] = field(default_factory=dict)
    excess: dict[str, float] = field(default_factory=dict)

    @property
    def fits(self) -> bool:
        """Whether no known limit is exceeded."""
        return all(each <= 0 for each in self.excess.values())


def budget_of(config: Search) -> dict[str, Any]:
    """The limits that were given as options, by the names of config.Budget."""
    values = {each.name: getattr(config, each.name) for each in fields(Budget)}
    return {name: value for name, value in values.items() if value is not None}


class Costs:
    """Costs of models on these images and this host, kept in a folder."""

    def __init__(self, folder: Path, data: ImageData, config: Search) -> None:
        """Raises UsageError where nothing limits the search, ProfileError for an unknown device."""
        self.folder, self.data = folder, data
        device = find_device(config.device) if config.device else None
        self._profile = Profile(device=config.device, **budget_of(config))
        self.limits = merge(self._profile, device, None).stated
        if not set(self.limits) & set(UNTRAINED):
            raise UsageError(
                "nothing limits the size or speed of the student",
                "give --device, or a limit such as --max-latency-ms 5 or --max-params 12000",
            )
        host = read_host()
        threads = min(device.cpu.threads, host.cores) if device else host.cores
        self._host = [platform.node(), host.title, threads]

    def of(self, model: str) -> Cost:
        """The cost: counted, and measured where the counts keep their limits; measured once, then remembered."""
        counted = measure(plan(model, self.data))
        values = {"max_params": float(counted.parameters), "max_macs": float(counted.macs)}
        excess = {name: values[name] / self.limits[name] - 1 for name in COUNTED if name in self.limits}
        known = Cost(counted.parameters, counted.macs, values=values, excess=excess)
        if not known.fits:
            return known
        facts = self._measured(model)
        values |= {name: each for name, each in facts["values"].items() if name not in COUNTED}
        excess |= {name: each / self.limits[name] - 1 for name, each in values.items() if name in self.limits}
        told = facts["size_bytes"], facts["latency_ms"], facts["statement"]
        return Cost(counted.parameters, counted.macs, *told, values, excess)

    def check_possible(self, models: list[str]) -> dict[str, Cost]:
        """The costs of the least costly `models`; raises CheckFailed, naming the nearest possible, where none fits."""
        costs = {model: self.of(model) for model in models}
        if any(each.fits for each in costs.values()):
            return costs
        model, nearest = min(costs.items(), key=lambda item: max(item[1].excess.values()))
        exceeded = [name for name, each in nearest.excess.items() if each > 0]
        has = ", ".join(f"{_flag(name)} {self.limits[name]:g} (it has {nearest.values[name]:.6g})" for name in exceeded)
        least = " ".join(f"{_flag(name)} {_rounded_up(nearest.values[name])}" for name in exceeded)
        raise CheckFailed(
            f"no student of the search keeps these limits: the nearest, {model}, exceeds {has}",
            f"the nearest possible: {least}; or another device",
        )

    def _measured(self, model: str) -> dict[str, Any]:
        data = self.data
        key = [model, data.canvas, data.channels, len(data.classes), *self._host, sorted(self.limits)]
        digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:10]
        file = self.folder / f"{slug(model)}-{digest}.json"
        if not file.is_file():
            found = measure_untrained(build(model, data), self._profile, Silent())
            entry = found["models"][0]
            checks = {each["limit"]: each["value"] for each in entry["checks"] if each["limit"] in UNTRAINED}
            facts = {
                "model": model,
                "host": self._host,
                "size_bytes": entry["size_bytes"],
                "latency_ms": entry["judged"]["latency_ms"],
                "statement": found["statement"],
                "values": {name: value for name, value in checks.items() if value is not None},
            }
            write_json(file, facts)
        return read_json(file, CheckpointError, "remove it, and it is measured again")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _rounded_up(value: float) -> str:
    """Three digits, no smaller than the value; whole numbers as they are."""
    if float(value).is_integer():
        return f"{value:.0f}"
    digits = max(0, 2 - len(f"{value:.0f}") + 1)
    return f"{value + 0.5 * 10**-digits:.{digits}f}"
