"""From options to the report's JSON object: measure, inspect, judge, compare. Its format: docs/profiling.md."""

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgekd import __version__
from edgekd.config import Profile
from edgekd.profiling.device.conditions import explain, read_conditions
from edgekd.profiling.device.host import elsewhere, read_host
from edgekd.profiling.device.identity import identify
from edgekd.profiling.device.power import find_sensor
from edgekd.profiling.device.profiles import Device, find_device
from edgekd.profiling.judge.baseline import FORMAT, KIND, partner, read_baseline, rival
from edgekd.profiling.judge.budget import judge, latency_bound, passed
from edgekd.profiling.judge.comparison import compare, pick_winner
from edgekd.profiling.measure.energy import measure_energy
from edgekd.profiling.measure.inspection import inspect_subject
from edgekd.profiling.measure.measuring import Measured, Setting, Subject, drift_warning, in_words, measure
from edgekd.profiling.measure.plan import MeasurePlan, make_plan
from edgekd.profiling.measure.quantiles import ratio_interval
from edgekd.profiling.model_files import find_images, find_subjects
from edgekd.report import Reporter

Found = dict[tuple[str, Setting], Measured]


@dataclass(frozen=True)
class ProfileTask:
    """What was requested, settled."""

    config: Profile
    device: Device | None
    plan: MeasurePlan
    subjects: Sequence[Subject]
    baseline: dict[str, Any] | None
    rivals: dict[str, Subject]


def survey(config: Profile, report: Reporter) -> dict[str, Any]:
    """Do everything `edgekd profile` does on this machine, and hand back the report."""
    host = read_host()
    task = _settle(config, host.cores)
    before = read_conditions()
    report.note(_announcement(task))
    measured = _measure(task)
    after = read_conditions()
    models = [_entry(task, subject, measured) for subject in task.subjects]
    identity = identify(task.device, host) if task.device else None
    changes = compare(task.baseline, measured_now(task, measured), models, asdict(host), config.noise)
    return {
        "kind": KIND,
        "format": FORMAT,
        "edgekd": __version__,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            **asdict(host),
            "title": host.title,
            "python": platform.python_version(),
            "versions": {key: value for each in models for key, value in each["measurements"][0]["versions"].items()},
        },
        "device": None if task.device is None else {"name": task.device.name, "title": task.device.title},
        "is_device": identity.is_device if identity else None,
        "statement": identity.statement if identity else f"measured on {host.title}; no device was named",
        "settings": {"warmup_s": config.warmup, "duration_s": config.duration, "noise": config.noise},
        "budget": task.plan.limits.stated,
        "percentile": task.plan.limits.percentile,
        "conditions": {"before": asdict(before), "after": asdict(after)},
        "warnings": [*elsewhere(), *task.plan.warnings, *explain(before, after), *_drifts(measured), *changes.warnings],
        "models": models,
        "winner": pick_winner(models),
        "changes": changes.rows,
        "passed": _overall(models, changes.rows),
    }


def _settle(config: Profile, cores: int) -> ProfileTask:
    device = find_device(config.device) if config.device else None
    baseline = read_baseline(config.baseline) if config.baseline else None
    subjects = find_subjects(config.models, config.runs)
    if config.images is not None:
        find_images(config.images, subjects)
    rivals = _rivals(config.baseline, baseline, subjects) if config.baseline and baseline else {}
    return ProfileTask(config, device, make_plan(config, device, cores), subjects, baseline, rivals)


def _rivals(path: Path, baseline: dict[str, Any], subjects: Sequence[Subject]) -> dict[str, Subject]:
    """By the name of our model, the baseline's to measure beside it."""
    partners = [(subject, partner(baseline, subject.name)) for subject in subjects]
    found = {ours.name: rival(entry, path.parent, ours) for ours, entry in partners if entry}
    return {name: other for name, other in found.items() if other is not None}


def _announcement(task: ProfileTask) -> str:
    names = ", ".join(subject.name for subject in task.subjects)
    each = "; ".join(in_words(one.batch, one.threads) for one in task.plan.settings)
    count = len(task.plan.settings) * len(task.subjects) + len(task.rivals)
    seconds = count * (task.config.warmup + task.config.duration + 1)
    return f"measuring {names} ({each}): about {seconds:.0f} s, without a progress bar, which would disturb"


def _measure(task: ProfileTask) -> Found:
    found: Found = {}
    for setting in task.plan.settings:
        extra = list(task.rivals.values()) if setting == task.plan.judged else []
        subjects = [*task.subjects, *extra]
        for subject, measured in zip(subjects, measure(subjects, setting), strict=True):
            found[subject.name, setting] = measured
    return found


def measured_now(task: ProfileTask, measured: Found) -> dict[str, tuple[Measured, Measured | None]]:
    """By model: its judged measurement, and that of the baseline's model where one was measured beside it."""
    judged = task.plan.judged
    return {
        subject.name: (
            measured[subject.name, judged],
            measured[task.rivals[subject.name].name, judged] if subject.name in task.rivals else None,
        )
        for subject in task.subjects
    }


def _drifts(measured: Found) -> list[str]:
    found = ((name, drift_warning(each.figures)) for (name, _), each in measured.items())
    return [f"{name}: {words}" for name, words in found if words]


def _entry(task: ProfileTask, subject: Subject, measured: Found) -> dict[str, Any]:
    """The report's entry of one model."""
    file, judged = subject.file, task.plan.judged
    figures = measured[subject.name, judged].figures
    inspected = inspect_subject(subject, judged, task.config)
    traced = inspected["operators"]
    entry: dict[str, Any] = {
        "name": subject.name,
        "path": str(file.path.resolve()),
        "sha256": file.sha256,
        "size_bytes": file.size_bytes,
        "runtime": file.runtime,
        "precision": file.precision,
        "params": file.params,
        "macs": file.macs if file.macs is not None or traced is None else traced["macs"],
        "record": file.known,
        "measurements": [measured[subject.name, each].figures for each in task.plan.settings],
        "judged": {
            "batch": judged.batch,
            "threads": judged.threads,
            "latency_ms": latency_bound(figures, judged.percentile)[0],
        },
        **inspected,
        "energy": _energy(task, subject),
        "against_first": _against_first(task, subject, measured),
    }
    checks = judge(task.plan.limits, entry, figures)
    parity = entry["parity"]
    held = passed(checks)
    is_wrong = (parity and not parity["passed"]) or any(each["not_finite"] for each in entry["measurements"])
    return {**entry, "checks": [check.as_dict() for check in checks], "passed": False if is_wrong else held}


def _energy(task: ProfileTask, subject: Subject) -> dict[str, Any] | None:
    """Energy of one image, or why it is not known; None where it was not requested."""
    if not task.config.energy and task.plan.limits.budget.max_energy_mj is None:
        return None
    sensor = find_sensor()
    found = sensor if isinstance(sensor, str) else measure_energy(subject, task.plan.judged, sensor)
    return {"reason": found} if isinstance(found, str) else found


def _against_first(task: ProfileTask, subject: Subject, measured: Found) -> dict[str, float] | None:
    """How many times as fast as the first model, from rounds taken in turn, with its 95 % interval."""
    first = task.subjects[0]
    if subject is first:
        return None
    judged = task.plan.judged
    return ratio_interval(measured[first.name, judged].rounds, measured[subject.name, judged].rounds)


def _overall(models: Sequence[dict[str, Any]], changes: Sequence[dict[str, Any]]) -> bool | None:
    """False when any model or comparison failed, None when nothing was asked."""
    verdicts = [model["passed"] for model in models] + [not change["regressed"] for change in changes]
    known = [verdict for verdict in verdicts if verdict is not None]
    return all(known) if known else None
