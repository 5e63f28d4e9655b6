"""The part of `edgekd export` after the float32 file: float16 and INT8 files, proven, measured, and one chosen."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto

from edgekd.config import Export
from edgekd.cores import available_cores
from edgekd.data.loader import PLAIN, make_batch
from edgekd.errors import CheckFailed, DataError
from edgekd.exporting.half import to_half
from edgekd.exporting.int8 import (
    Evidence,
    Feed,
    Int8Trial,
    find_costs,
    find_recipe,
    mix,
    multiply_adds,
    save,
    set_record,
)
from edgekd.exporting.learnt import LearntGrid, unlearnt
from edgekd.exporting.parity import BATCH, answers, check_rounded, compare, reject
from edgekd.exporting.race import Choice, Timed, as_dict, choose, race
from edgekd.exporting.raw_images import NEAR, describe_raw, embed, prove
from edgekd.exporting.variant_tables import Variant, costs_table, files_table, lines_of
from edgekd.images.imageset import UNLABELLED, ImageData, Split
from edgekd.profiling.device.host import read_host
from edgekd.profiling.device.identity import identify
from edgekd.profiling.device.profiles import Device, find_device
from edgekd.profiling.measure.measuring import Setting
from edgekd.profiling.model_files import sample_of
from edgekd.quantization.calibration import Calibrator
from edgekd.quantization.fusions import count_fused
from edgekd.quantization.graph import Graph, read_graph
from edgekd.quantization.grid import Array
from edgekd.quantization.kernels import Kernels, kernels_of
from edgekd.quantization.sensitivity import Sensitivity
from edgekd.report import Reporter, Result
from edgekd.runs import atomic
from edgekd.writing import atomic_all

RAW = 32
"""Images on which files that take raw ones are proven."""
KEPT = 16
"""Images in a sample."""
MEMORY = 4e8
"""Bytes of prepared validation images held at once, at most."""


@dataclass(frozen=True)
class ExportSource:
    """The float32 file that the others are made of, its metadata, and how canvases are fed to it."""

    path: Path
    record: dict[str, Any] | None
    feed: Feed
    data: ImageData
    target: Path | None = None
    """Beside which the others are written; None: beside `path`."""
    learnt: LearntGrid | None = None
    """The grid that the network was trained on."""

    def beside(self, kind: str) -> Path:
        """`model.onnx` -> `model.int8.onnx`."""
        place = self.target or self.path
        return place.with_name(f"{place.stem}.{kind}.onnx")


@dataclass(frozen=True)
class ExportJob:
    """What all files of an export share."""

    source: ExportSource
    config: Export
    evidence: Evidence
    setting: Setting | None
    kernels: Kernels
    report: Reporter


def write_variants(source: ExportSource, config: Export, report: Reporter) -> Result:
    """Write what --quantize asks for; Result.failure is CheckFailed where a file had to be rejected."""
    job = _prepare(source, config, report)
    variants = []
    costs: list[Sensitivity] = []
    if config.quantize in ("fp16", "all"):
        variants.append(_write_half(job))
    if config.quantize in ("int8", "all"):
        made, costs = _write_int8(job)
        variants += made
    sound = [each for each in variants if each.failure is None]
    timed: dict[str, Timed] = {}
    if job.setting is not None and sound:
        report.note(f"measuring {', '.join(['fp32', *(each.kind for each in sound)])} in turns")
        timed = race({"fp32": source.path} | {each.kind: each.path for each in sound}, job.setting)
        choice = choose(timed, [each.kind for each in sound], job.setting)
    else:
        choice = Choice(None, f"not measured there: this machine is not {job.kernels.name}; all files are kept")
    raw = {}
    if config.embed_preprocess and source.record is not None:
        raw = write_raw(source, {each.kind: each.path for each in sound}, config.tolerance)
    rejected = [each for each in variants if each.failure is not None]
    failure = rejected[0].failure if rejected and not any(each.kind == "mixed" for each in sound) else None
    found = _result(job, variants, timed, choice, costs, failure)
    return replace(found, data={**found.data, "raw_files": raw}) if raw else found


def write_raw(source: ExportSource, files: Mapping[str, Path], tolerance: float) -> dict[str, Any]:
    """Beside each file one that takes raw images; where they are and how they compare. Raises CheckFailed."""
    if source.record is None:
        raise DataError(f"{source.path}: does not say how to prepare images", "export it from its run")
    split = source.data.val
    positions = np.linspace(0, len(split) - 1, min(len(split), RAW)).astype(np.int64)
    canvases = make_batch(split, positions, PLAIN).canvas.numpy()
    written = {}
    for kind, path in files.items():
        target = path.with_name(f"{path.stem}.raw.onnx")

        def answer(images: NDArray[np.uint8], path: Path = path) -> Array:
            return answers(path, source.feed(images))

        with atomic(target) as beside:
            model = embed(onnx.load(path), source.record)
            set_record(model, describe_raw(source.record))
            onnx.save(model, beside)
            # in fewer bits a last bit of the input may round the other way
            found = prove(beside, canvases, answer, tolerance if kind == "fp32" else NEAR)
        written[kind] = {"file": str(target), "parity": {name: asdict(each) for name, each in found.items()}}
    return written


def _prepare(source: ExportSource, config: Export, report: Reporter) -> ExportJob:
    host = read_host()
    device = find_device(config.device) if config.device else None
    arch, features, name = (host.arch, host.features, host.title)
    if device is not None:
        arch, features, name = device.cpu.arch, device.cpu.isa, device.title
    kernels = kernels_of(name, arch, features)
    is_here = device is None or identify(device, host).is_device is not False
    if not len(source.data.val):
        raise DataError(f"{source.data.name}: no validation images", "give data with some, or a larger --val-fraction")
    inputs, labels = _images(source, source.data.val, None)
    return ExportJob(
        source,
        config,
        Evidence(inputs, labels, answers(source.path, inputs)),
        _setting(device, config) if is_here else None,
        kernels,
        report,
    )


def _setting(device: Device | None, config: Export) -> Setting:
    cores = available_cores()
    threads = config.threads or (min(device.cpu.threads, cores) if device else cores)
    batch = config.fixed_batch or (device.batch if device else 1)
    return Setting(batch, threads, min(1.0, config.duration), config.duration, 50.0)


def _images(source: ExportSource, split: Split, count: int | None) -> tuple[Array, Any]:
    """Evenly spread prepared images of a split and their labels: `count`, else as many as memory holds."""
    one = source.feed(make_batch(split, np.zeros(1, np.int64), PLAIN).canvas.numpy())
    most = max(2 * BATCH, int(MEMORY // max(one.nbytes, 1)))
    positions = np.linspace(0, len(split) - 1, min(len(split), count or most)).astype(np.int64)
    batch = make_batch(split, positions, PLAIN)
    return source.feed(batch.canvas.numpy()), batch.target.numpy()


def _write_half(job: ExportJob) -> Variant:
    path = job.source.beside("fp16")
    return _keep(job, "fp16", path, to_half(onnx.load(job.source.path)), {})


def _write_int8(job: ExportJob) -> tuple[list[Variant], list[Sensitivity]]:
    config, report, source = job.config, job.report, job.source
    graph = read_graph(source.path)
    widths = [graph.weights[node.input[1]].shape[0] for node in graph.layers()]
    for words in job.kernels.warnings(widths):
        report.warn(words)
    if not len(source.data.train):
        raise DataError(f"{source.data.name}: no training images to calibrate on", "give --data with a train/ folder")
    inputs, _ = _images(source, source.data.train, config.calibration_images)
    if source.learnt is not None:
        return [_write_learnt(job, source.learnt, inputs)], []
    report.note(f"calibration on {len(inputs)} training images of {source.data.name}")
    calibrator = Calibrator(graph, inputs, job.kernels)
    method = None if config.calibration == "auto" else config.calibration
    trials = find_recipe(calibrator, job.evidence, calibrator.recipes(method))
    recipe = trials[0].recipe
    report.note(f"calibration: {recipe.in_words()} ({len(trials)} recipes tried on validation images)")
    facts = {"calibration_images": len(inputs), "recipe": recipe.in_words(), "kernels": _kernels_in_words(job.kernels)}
    path = source.beside("int8")
    whole = _keep(job, "int8", path, calibrator.quantise(recipe).model, facts | {"trials": _described(trials)})
    if not config.sensitivity:
        return [whole], []
    costs = find_costs(calibrator, recipe, job.evidence, job.setting)
    mixed, left = mix(calibrator, recipe, costs, job.evidence, config.max_drop)
    if not left:
        report.note("mixed: no layer costs accuracy or time, so there is nothing to leave out")
        return [whole], costs
    facts |= {"left_in_float": left, "int8_macs_share": _share(graph, left)}
    return [whole, _keep(job, "mixed", source.beside("mixed"), mixed.model, facts)], costs


def _write_learnt(job: ExportJob, learnt: LearntGrid, inputs: Array) -> Variant:
    """The INT8 file on the grid of the training, compared with what the network says on that grid."""
    made = learnt.quantise(inputs, job.kernels)
    strange = unlearnt(made)
    if strange:
        job.report.warn(f"{len(strange)} tensors are rounded in the file but were not in training: {strange[0]}, ...")
    expected = learnt.answers(job.evidence.inputs)
    facts = {"recipe": "ranges of the training", "kernels": _kernels_in_words(job.kernels), "learnt": True}
    job = replace(job, evidence=replace(job.evidence, expected=expected))
    return _keep(job, "int8", job.source.beside("int8"), made.model, facts)


def _kernels_in_words(kernels: Kernels) -> str:
    first = "u8" if kernels.activations == "uint8" else "s8"
    return f"{first}s8, weights within {kernels.weight_limit}"


def _described(trials: list[Int8Trial]) -> list[dict[str, Any]]:
    return [{"recipe": each.recipe.in_words(), "divergence": each.divergence} for each in trials]


def _share(graph: Graph, left: list[str]) -> float:
    counts = multiply_adds(graph)
    return 1 - sum(counts.get(each, 0) for each in left) / max(sum(counts.values()), 1)


def _keep(job: ExportJob, kind: str, path: Path, model: ModelProto, facts: dict[str, Any]) -> Variant:
    """Write a file, prove it on the validation images; one that fails is kept under another name."""
    evidence = job.evidence
    short = {key: facts[key] for key in ("calibration_images", "recipe", "kernels") if key in facts}
    record = None
    if job.source.record is not None:
        record = job.source.record | {"precision": kind} | ({"quantization": short} if short else {})
        record["top1"] = _accuracy(job, model)
    try:
        with atomic_all(path, sample_of(path)) as (beside, sample):
            save(model, beside, record)
            parity = compare(beside, evidence.inputs, evidence.expected, evidence.labels)
            failure = check_rounded(parity, path, job.config.max_drop)
            if failure is not None:
                kept = reject(beside, path)
                raise CheckFailed(f"{failure.problem}; kept as {kept.name}", failure.hint)
            found = answers(beside, evidence.inputs[:KEPT])
            with sample.open("wb") as stream:
                np.savez(stream, inputs=evidence.inputs[:KEPT], logits=found, labels=evidence.labels[:KEPT])
    except CheckFailed as error:
        return Variant(kind, path.with_name(f"{path.name}.rejected"), parity, error, facts)
    facts = facts | {"fused": asdict(count_fused(path))} if kind != "fp16" else facts
    return Variant(kind, path, parity, None, facts)


def _accuracy(job: ExportJob, model: ModelProto) -> float | None:
    return measure_accuracy(job.source, lambda inputs: replace(job.evidence, inputs=inputs).answer(model))


def measure_accuracy(source: ExportSource, answer: Callable[[Array], Array]) -> float | None:
    """Top-1 on the labelled test images; None when there are none."""
    split = source.data.test
    known = np.flatnonzero(split.targets != UNLABELLED)
    right = 0
    for start in range(0, len(known), 4 * BATCH):
        batch = make_batch(split, known[start : start + 4 * BATCH], PLAIN)
        right += int((answer(source.feed(batch.canvas.numpy())).argmax(1) == batch.target.numpy()).sum())
    return right / len(known) if len(known) else None


def _result(
    job: ExportJob,
    variants: list[Variant],
    timed: dict[str, Timed],
    choice: Choice,
    costs: list[Sensitivity],
    failure: CheckFailed | None,
) -> Result:
    source = job.source
    plain = measure_accuracy(source, lambda inputs: answers(source.path, inputs))
    first = {"kind": "fp32", "file": str(source.path), "size_bytes": source.path.stat().st_size, "test_top1": plain}
    files = [first | {"timed": as_dict(timed.get("fp32")), "rejected": False}]
    for each in variants:
        top1 = measure_accuracy(source, lambda inputs, path=each.path: answers(path, inputs))  # type: ignore[misc]
        described = {"kind": each.kind, "file": str(each.path), "size_bytes": each.path.stat().st_size}
        described |= {"test_top1": top1, "parity": asdict(each.parity), "timed": as_dict(timed.get(each.kind))}
        files.append(described | {"rejected": each.failure is not None} | each.facts)
    data = {"files": files, "chosen": choice.name, "reason": choice.reason, "sensitivity": [asdict(c) for c in costs]}
    tables = [files_table(files, timed)] + ([costs_table(costs)] if costs else [])
    lines = [line for each in variants for line in lines_of(each)]
    return Result(data, tables, [*lines, choice.reason], failure)
