"""An earlier report as the yardstick: what got slower, bigger or less accurate beyond the noise.

Latency is compared by ratios. When the earlier model's file is still there, both models are measured now, in
turn, so that machine and weather cancel out; else earlier figures count only if the machine is the same.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

from edgekd.errors import CheckpointError, ConfigError
from edgekd.profiling.measure.measuring import Measured, Subject
from edgekd.profiling.measure.quantiles import ratio_interval
from edgekd.profiling.model_files import open_subject
from edgekd.reading import read_json
from edgekd.values import Count, Limits, Positive, Share, check

KIND = "edgekd-profile"
FORMAT = 1

Report = dict[str, Any]


class _Machine(TypedDict):
    title: str
    cpu: str
    arch: str
    cores: Count
    board: str | None


class _Accuracy(TypedDict):
    images: Count
    top1: Share


class _Peak(TypedDict):
    peak: Positive | None


class _Measurement(TypedDict):
    batch: Count
    threads: Count
    median_of_windows_ms: Positive
    memory_mb: _Peak


class _Model(TypedDict):
    name: str
    path: str
    sha256: str
    size_bytes: Count
    accuracy: _Accuracy | None
    measurements: Annotated[list[_Measurement], Limits(1)]


class _Report(TypedDict):
    """What is read of an earlier report."""

    machine: _Machine
    models: Annotated[list[_Model], Limits(1)]


@dataclass(frozen=True)
class Change:
    """One figure then and now; `low` and `high` bound the ratio (95 %) when the runs were paired."""

    model: str
    what: str
    before: float
    now: float
    ratio: float
    low: float | None
    high: float | None
    paired: bool
    regressed: bool


def read_baseline(path: Path) -> Report:
    """An earlier `edgekd profile --json`; raises ConfigError when it is something else, damaged or newer."""
    hint = "give one made with edgekd profile --json, or with --report NAME.json"
    found = read_json(path, ConfigError, hint, pipe=True)
    if found.get("kind") != KIND:
        raise ConfigError(f"{path}: not a report of edgekd profile (its kind is {found.get('kind')!r})", hint)
    if found.get("format") != FORMAT:
        raise ConfigError(
            f"{path}: report format {found.get('format')}, this edgekd reads {FORMAT}", "measure the baseline again"
        )
    check(found, _Report, f"{path}: in this report,", ConfigError, "the file was changed: measure the baseline again")
    return found


def partner(baseline: Report, name: str) -> dict[str, Any] | None:
    """The baseline's entry for a model: of the same name, or the only one there is."""
    models: list[dict[str, Any]] = baseline["models"]
    named = [model for model in models if model["name"] == name]
    return named[0] if named else models[0] if len(models) == 1 else None


def rival(entry: dict[str, Any], folder: Path, ours: Subject) -> Subject | None:
    """The baseline's model to measure beside ours, looked for in its old place and in the report's folder.

    None when its file is gone, changed, or the same as ours.
    """
    if entry["sha256"] == ours.file.sha256:
        return None
    old = Path(entry["path"])
    for path in (old, folder / old.name):
        try:
            subject = open_subject(path, f"{ours.name} (baseline)")
        except CheckpointError:
            continue
        if subject.file.sha256 == entry["sha256"]:
            return subject
    return None


def compare_latency_paired(name: str, ours: Measured, theirs: Measured, noise: float) -> Change:
    """Medians of the rounds taken in turn; a regression is beyond the noise, and surely beyond nothing."""
    interval = ratio_interval(ours.rounds, theirs.rounds)
    ratio, low = interval["ratio"], interval["low"]
    before = theirs.figures["latency_ms"]["median"]
    return Change(
        name,
        "latency p50, ms",
        before,
        ours.figures["latency_ms"]["median"],
        ratio,
        low,
        interval["high"],
        paired=True,
        regressed=ratio > 1 + noise and low > 1,
    )


def compare_stored(now: dict[str, Any], before: dict[str, Any], noise: float) -> list[Change]:
    """Size and accuracy, from what both reports hold."""
    changes = [_grown(now["name"], "size, MB", before["size_bytes"] / 1e6, now["size_bytes"] / 1e6, noise)]
    then, here = (model["accuracy"] for model in (before, now))
    if then and here and then["images"] == here["images"]:
        drop = here["top1"] / then["top1"] if then["top1"] else 1.0
        changes.append(
            Change(now["name"], "top-1", then["top1"], here["top1"], drop, None, None, False, drop < 1 - noise)
        )
    return changes


def compare_unpaired(name: str, now: dict[str, Any], before: dict[str, Any], noise: float) -> list[Change]:
    """Latency and memory of two measurements with equal settings on the same machine at different times."""
    then, here = before["median_of_windows_ms"], now["median_of_windows_ms"]
    changes = [_grown(name, "latency p50, ms", then, here, noise)]
    peaks = before["memory_mb"]["peak"], now["memory_mb"]["peak"]
    if None not in peaks:
        changes.append(_grown(name, "peak memory, MB", *peaks, noise))
    return changes


def same_setting(entry: dict[str, Any], figures: dict[str, Any]) -> dict[str, Any] | None:
    """The baseline's measurement with our batch and threads."""
    key = figures["batch"], figures["threads"]
    found: list[dict[str, Any]] = entry["measurements"]
    return next((each for each in found if (each["batch"], each["threads"]) == key), None)


def same_machine(now: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether two reports' machines are alike in processor, cores and board."""
    return all(now.get(key) == before.get(key) for key in ("cpu", "arch", "cores", "board"))


def compare_memory(name: str, ours: Measured, theirs: Measured, noise: float) -> list[Change]:
    """Peak memory of two models measured now."""
    peaks = theirs.figures["memory_mb"]["peak"], ours.figures["memory_mb"]["peak"]
    return [] if None in peaks else [_grown(name, "peak memory, MB", *peaks, noise)]


def _grown(name: str, what: str, before: float, now: float, noise: float) -> Change:
    ratio = now / before if before else 1.0
    return Change(name, what, before, now, ratio, None, None, False, ratio > 1 + noise)


def as_dicts(changes: list[Change]) -> list[dict[str, Any]]:
    """Plain JSON values."""
    return [asdict(change) for change in changes]
