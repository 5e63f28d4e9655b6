"""Limits and verdicts: what was measured against what the profile and the flags allow."""

from dataclasses import dataclass, fields
from typing import Any

from edgekd.config import Budget
from edgekd.profiling.device.profiles import Device
from edgekd.profiling.measure.measuring import in_words
from edgekd.profiling.measure.quantiles import name_of, runs_needed

PERCENTILE = 95.0


@dataclass(frozen=True)
class BudgetLimits:
    """The limits in force, and the batch size the latency limit is meant for."""

    budget: Budget
    batch: int

    @property
    def percentile(self) -> float:
        """The latency percentile judged."""
        return self.budget.percentile or PERCENTILE

    @property
    def stated(self) -> dict[str, float]:
        """The limits that were given, by the names of config.Budget."""
        values = {each.name: getattr(self.budget, each.name) for each in fields(Budget)}
        return {name: value for name, value in values.items() if value is not None and name != "percentile"}


@dataclass(frozen=True)
class Check:
    """One line of the verdict; `passed` is None when the value is not known, which is no pass."""

    limit: str
    what: str
    unit: str
    allowed: float
    value: float | None
    passed: bool | None
    note: str = ""

    @property
    def margin(self) -> float | None:
        """Room left as a share of the limit, negative when missed; for top-1 the difference itself."""
        if self.value is None:
            return None
        if self.limit == "min_top1":
            return self.value - self.allowed
        return (self.allowed - self.value) / self.allowed

    @property
    def verdict(self) -> str:
        """PASS, FAIL or UNKNOWN."""
        return {True: "PASS", False: "FAIL", None: "UNKNOWN"}[self.passed]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"margin": self.margin}


def merge(flags: Budget, device: Device | None, batches: list[int] | None) -> BudgetLimits:
    """The profile's limits with the flags over them.

    A latency given as a flag is meant for the first of the batch sizes given, one from the profile for the
    profile's.
    """
    ours = device.budget if device else Budget()
    chosen = {each.name: getattr(flags, each.name) for each in fields(Budget)}
    merged = {name: value if value is not None else getattr(ours, name) for name, value in chosen.items()}
    if device is not None and (not batches or (flags.max_latency_ms is None and ours.max_latency_ms is not None)):
        batch = device.batch
    else:
        batch = (batches or [1])[0]
    return BudgetLimits(Budget(**merged), batch)


def judge(limits: BudgetLimits, model: dict[str, Any], figures: dict[str, Any]) -> list[Check]:
    """A check for every stated limit; `model` is its entry in the report, `figures` the judged measurement."""
    values = {
        "max_latency_ms": latency_bound(figures, limits.percentile),
        "max_rss_mb": (figures["memory_mb"]["peak"], ""),
        "max_size_mb": (model["size_bytes"] / 1e6, ""),
        "min_top1": _top1(model),
        "max_params": (model["params"], "" if model["params"] is not None else "not known: the file does not tell"),
        "max_macs": _macs(model),
        "max_energy_mj": _energy(model),
        "max_train_minutes": _train_minutes(model),
    }
    words = {
        "max_latency_ms": (_latency_words(limits, figures), "ms"),
        "max_rss_mb": ("peak memory", "MB"),
        "max_size_mb": ("file size", "MB"),
        "min_top1": ("top-1 accuracy", ""),
        "max_params": ("parameters", ""),
        "max_macs": ("multiply-adds of one image", ""),
        "max_energy_mj": ("energy of one image above idle", "mJ"),
        "max_train_minutes": ("training time", "min"),
    }
    return [_check(name, words[name], allowed, values[name]) for name, allowed in limits.stated.items()]


def _check(name: str, words: tuple[str, str], allowed: float, found: tuple[float | None, str]) -> Check:
    value, note = found
    passed = None if value is None else value >= allowed if name == "min_top1" else value <= allowed
    return Check(name, *words, allowed, value, passed, note)


def latency_bound(figures: dict[str, Any], percent: float) -> tuple[float, str]:
    """The upper bound of the percentile, or the slowest run where the runs are too few for one; ms, words."""
    found = figures["latency_ms"]["percentiles"].get(name_of(percent))
    if found is not None:
        return found["bound"], f"measured {found['value']:.3g} ms; judged by its 99 % upper bound"
    slowest = figures["latency_ms"]["max"]
    return slowest, (
        f"judged by the slowest of {figures['runs']} runs: {name_of(percent)} needs {runs_needed(percent)}"
    )


def _latency_words(limits: BudgetLimits, figures: dict[str, Any]) -> str:
    return f"latency {name_of(limits.percentile)}, {in_words(figures['batch'], figures['threads'])}"


def _top1(model: dict[str, Any]) -> tuple[float | None, str]:
    if model["accuracy"]:
        return model["accuracy"]["top1"], f"on {model['accuracy']['images']} images, here"
    recorded = model["record"].get("top1")
    return recorded, "as recorded at export" if recorded is not None else "not known: give --images"


def _macs(model: dict[str, Any]) -> tuple[float | None, str]:
    return model["macs"], "" if model["macs"] is not None else "not known: add --operators"


def _energy(model: dict[str, Any]) -> tuple[float | None, str]:
    """The upper end of the interval: a limit that may be missed is not kept."""
    found = model.get("energy") or {}
    if found.get("high") is None:
        return None, f"not known: {found.get('reason', 'not measured')}"
    return found["high"], f"measured {found['mj_per_image']:.3g} mJ; judged by the upper end of its 95 % interval"


def _train_minutes(model: dict[str, Any]) -> tuple[float | None, str]:
    seconds = model["record"].get("train_seconds")
    if seconds is None:
        return None, "not known: the file holds no record of its training"
    return seconds / 60, "as recorded at export"


def passed(checks: list[Check]) -> bool | None:
    """Whether all hold; None when nothing was stated."""
    return all(check.passed is True for check in checks) if checks else None
