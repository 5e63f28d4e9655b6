"""The part of `edgekd export` for other runtimes: files for LiteRT and MNN, proven, measured, and one recommended."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config import Export
from edgekd.cores import available_cores
from edgekd.errors import CheckFailed, EdgekdError, MissingDependency
from edgekd.exporting.litert import find_converter, to_tflite
from edgekd.exporting.mnn import to_mnn
from edgekd.exporting.parity import Parity, answers, check, difference, reject
from edgekd.exporting.race import as_dict, choose, race
from edgekd.images.imageset import Split
from edgekd.profiling.device.host import read_host
from edgekd.profiling.device.identity import identify
from edgekd.profiling.device.profiles import find_device
from edgekd.profiling.measure.measuring import Setting
from edgekd.profiling.model_files import sample_of
from edgekd.report import Cell, Reporter, Result, Table
from edgekd.runs import Run
from edgekd.runtimes.attachment import attach
from edgekd.runtimes.predictor import FilePredictor, judge_file
from edgekd.runtimes.record import Record
from edgekd.runtimes.suffixes import check_package, runtime_of
from edgekd.writing import atomic_all

KEPT = 16
"""Images in a sample."""
BATCH = 250
"""Images tested at once."""


@dataclass(frozen=True)
class Tools:
    """What will be written: by suffix, the python of its converter (None: this one)."""

    converters: dict[str, Path | None]


@dataclass(frozen=True)
class Original:
    """The proven ONNX file that others are made beside, and its network's logits of validation images.

    `run` is None for a file from elsewhere; `test` are labelled images for its accuracy, where it has a record.
    """

    path: Path
    record: Record | None
    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]
    run: Run | None
    test: Split


@dataclass(frozen=True)
class Deployment:
    """One file that was written, or the reason why it is none."""

    kind: str
    path: Path
    parity: Parity | None
    top1: float | None
    failure: EdgekdError | None = None


def find_tools(config: Export, report: Reporter) -> Tools:
    """The converters that --format needs, found before any work; --format all does without those not installed.

    Raises MissingDependency, UsageError or DataError for a format that was named.
    """
    wanted = {"onnx": (), "tflite": (".tflite",), "mnn": (".mnn",), "all": (".mnn", ".tflite")}[config.format]
    found: dict[str, Path | None] = {}
    for suffix in wanted:
        try:
            check_package(suffix)
            found[suffix] = find_converter(config, report) if suffix == ".tflite" else None
        except MissingDependency as error:
            if config.format != "all":
                raise
            report.warn(f"no {suffix} file: {error.problem}; {error.hint}")
    return Tools(found)


def write_deployments(original: Original, tools: Tools, config: Export, report: Reporter) -> Result:
    """Write each file beside the ONNX file; Result.failure is set where one failed its proof or was not converted."""
    made = [_write(original, suffix, python, config, report) for suffix, python in tools.converters.items()]
    sound = {each.kind: each.path for each in made if each.failure is None}
    files = {"onnx": original.path} | sound
    setting = _setting(config)
    timed, chosen = {}, None
    if setting is None:
        reason = f"not measured there: this machine is not {config.device}; all files are kept"
    else:
        report.note(f"measuring {', '.join(files)} in turns")
        timed = race(files, setting)
        choice = choose(timed, list(sound), setting)
        chosen, reason = choice.name, choice.reason
    described: list[dict[str, Any]] = []
    rows: list[list[Cell]] = []
    for kind, path in files.items():
        found = next((each for each in made if each.kind == kind), None)
        entry = {"kind": kind, "file": str(path), "size_bytes": path.stat().st_size}
        entry |= {"parity": asdict(found.parity) if found and found.parity else None}
        top1 = found.top1 if found else (original.record or {}).get("top1")
        described.append(entry | {"test_top1": top1, "timed": as_dict(timed.get(kind))})
        speed = timed.get(kind)
        rows.append(
            [
                kind,
                f"{path.stat().st_size / 1e3:,.1f}",
                None if top1 is None else f"{top1:.2%}",
                None if found is None or found.parity is None else f"{found.parity.max_difference:.1e}",
                None if speed is None else f"{speed.latency_ms:.3f}",
                "" if speed is None or kind == "onnx" else speed.in_words,
                str(path),
            ]
        )
    columns = ["", "kB", "test accuracy", "largest difference", "p50 ms", "times as fast", "file"]
    failures = [each.failure for each in made if each.failure is not None]
    data = {"deployments": described, "recommended": chosen, "reason": reason}
    data["failed"] = [{"kind": each.kind, "problem": each.failure.problem} for each in made if each.failure]
    lines = [f"recommended: {reason}" if chosen else reason]
    table = Table("Files for other runtimes", columns, rows, ["largest difference", "file"])
    return Result(data, [table], lines, failures[0] if failures else None)


def _write(original: Original, suffix: str, python: Path | None, config: Export, report: Reporter) -> Deployment:
    """Convert, prove on real images and keep a sample; one that fails is kept as `.rejected`."""
    kind, target = suffix.removeprefix("."), original.path.with_suffix(suffix)
    runtime = runtime_of(target)
    report.note(f"converting to {target.name}")
    parity, top1 = None, None
    try:
        with atomic_all(target, sample_of(target)) as (beside, sample):
            if suffix == ".mnn":
                to_mnn(original.path, beside)
            elif original.run is not None and python is not None:
                to_tflite(original.run, beside, python, config)
            session = runtime.open(beside, available_cores())
            parity = difference(answers(beside, original.inputs, session), original.logits, original.labels)
            failure = check(parity, target, config.tolerance)
            if failure is not None:
                kept = reject(beside, target)
                raise CheckFailed(f"{failure.problem}; kept as {kept.name}", "deploy another file; docs/runtimes.md")
            if original.record is not None:
                record = original.record | {"runtime": runtime.name, "precision": "fp32", "layout": "NCHW"}
                record |= {"input_dtype": "float32", "normalises": False}
                with report.stage(f"testing {target.name}", len(original.test), "images") as progress:
                    scores = judge_file(FilePredictor(target, session, record), original.test, BATCH, progress).scores()
                top1 = scores.top1 if scores.count else None
                attach(beside, record | {"top1": top1})
            inputs, logits, labels = (each[:KEPT] for each in (original.inputs, original.logits, original.labels))
            with sample.open("wb") as stream:
                np.savez(stream, inputs=inputs, logits=logits, labels=labels)
    except EdgekdError as error:
        return Deployment(kind, target, parity, None, error)
    return Deployment(kind, target, parity, top1)


def _setting(config: Export) -> Setting | None:
    """How files are measured; None where this machine is not the device."""
    device = find_device(config.device) if config.device else None
    if device is not None and identify(device, read_host()).is_device is False:
        return None
    cores = available_cores()
    threads = config.threads or (min(device.cpu.threads, cores) if device else cores)
    return Setting(config.fixed_batch or 1, threads, min(1.0, config.duration), config.duration, 50.0)
