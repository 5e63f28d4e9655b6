"""Which finished artifacts a command starts from: the teacher, the student, the data they were made with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from edgekd import config as options
from edgekd.data.inheritance import inherit_data, tell_limit
from edgekd.data.sources import open_data
from edgekd.errors import CheckpointError, UsageError
from edgekd.images.imageset import ImageData
from edgekd.images.named import NO_LABELS
from edgekd.models.finished import TAUGHT, TEACHING, is_run, no_teacher, teacher_place
from edgekd.models.known import is_file
from edgekd.models.names import resolve
from edgekd.models.onnx_network import open_onnx
from edgekd.report import Reporter
from edgekd.runs import Run, everything, same_data, slug
from edgekd.runtimes.suffixes import runtime_of
from edgekd.teachers.pretrained import adopt
from edgekd.teachers.source import KnownTeacher, answers_sum, from_run

SAMPLE = 8
"""Images that a model file is tried on."""

WithTeacher = TypeVar("WithTeacher", options.CacheLogits, options.Distill)
Found = Run | Path | str
"""A run or a model file to learn from, or the name of a model whose weights must be had from elsewhere."""


def teacher_and_data(
    config: WithTeacher, report: Reporter, found: Found | None = None
) -> tuple[KnownTeacher, ImageData, WithTeacher]:
    """The teacher (its run is made when weights are given or fetched), the data, and the options completed by it.

    `found`: what find_teacher has given already.
    """
    found = find_teacher(config) if found is None else found
    if isinstance(found, Run):
        report.note(f"teacher: {found.path}{_why(found, config)}")
        before, config = config, inherit_data(config, found)
        tell_limit(before, config, found.path, report)
        data = open_for(found.manifest()["model"]["classes"], config, report)
        check_classes(found, data)
        return from_run(found), data, config
    if isinstance(found, Path):
        return _from_file(found, config, report)
    data = open_data(config, report)
    return from_run(adopt(found, data, config, report)), data, config


def open_for(classes: Sequence[str], config: options.Data, report: Reporter) -> ImageData:
    """The data; images that are all without labels have the teacher's classes."""
    return open_data(config, report, tuple(classes) if config.data == NO_LABELS else None)


def _from_file(path: Path, config: WithTeacher, report: Reporter) -> tuple[KnownTeacher, ImageData, WithTeacher]:
    """A model file as a teacher, on its run's data when it lies in its run's folder."""
    beside = Run(path.parent)
    if beside.is_there:
        config = inherit_data(config, beside)
    data = open_data(config, report)
    sample = torch.from_numpy(data.everything.pixels.gather(np.arange(min(SAMPLE, len(data.everything)))))
    spec = open_onnx(path, data, sample, report)
    _check_classes(str(path), spec.classes, data)
    report.note(f"teacher: {path}, computed by {runtime_of(path).name}")
    return KnownTeacher(file_name(path, data.name), path, spec, answers_sum(path)), data, config


def file_name(path: Path, data: str) -> str:
    """What caches of a model file are called: after its run when it is a run's export, else after file and data."""
    if Run(path.parent).is_there:
        return f"{path.absolute().parent.name}-{path.suffix.removeprefix('.')}"
    return slug(path.stem) if path.stem.endswith(data) else f"{slug(path.stem)}-{data}"


def find_teacher(config: WithTeacher) -> Found:
    """The teacher that the options name, or the best one there is.

    A name is a run first, then the most accurate run of that model on the same data. Without a name it is the most
    accurate run of train-teacher on the newest such run's data (or on --data), but none of the student's own model.
    """
    if config.teacher is None:
        if config.teacher_weights is not None:
            raise UsageError("--teacher-weights: without --teacher", "name the model these weights were trained as")
        return _best_teacher(config, None)
    place = teacher_place(config.teacher, config, config.runs)
    if place is not None or config.teacher_weights is not None:
        return place or config.teacher
    wanted = resolve(config.teacher)
    return _best_teacher(config, wanted) if _teachers(config, wanted) else config.teacher


def _teachers(config: WithTeacher, model: str | None) -> list[tuple[Run, dict[str, Any]]]:
    pairs = [(run, run.manifest()) for run in everything(config.runs)]
    return [
        (run, manifest)
        for run, manifest in pairs
        if manifest.get("status") == "finished"
        and manifest["command"] in (TEACHING if model is None else (*TEACHING, *TAUGHT))
        and (model == manifest["model"]["name"] or (model is None and not _is_student(manifest, config)))
        and (config.data is None or same_data(config.data, manifest["data"]["options"]["data"]))
    ]


def _is_student(manifest: dict[str, Any], config: WithTeacher) -> bool:
    """Whether a run is of the student's own kind and size, which teaches it nothing that it is not told by labels."""
    return isinstance(config, options.Distill) and _kind(manifest["model"]["name"]) == _kind(resolve(config.student))


def _kind(model: str) -> str:
    """The name without timm's tag of pretrained weights."""
    return model if is_file(model) else model.partition(".")[0]


def _candidates(config: WithTeacher, model: str | None) -> list[tuple[Run, dict[str, Any]]]:
    """The runs on the newest one's data, the best by validation first; of equals the one with more parameters."""
    found = _teachers(config, model)
    same = [each for each in found if each[1]["data"]["fingerprint"] == found[-1][1]["data"]["fingerprint"]]
    return sorted(same, key=lambda each: (-(each[1]["result"]["val_top1"] or 0), -each[1]["params"]))


def _best_teacher(config: WithTeacher, model: str | None) -> Run:
    found = _candidates(config, model)
    if found:
        return found[0][0]
    own = [run for run in everything(config.runs) if _is_own(run, config)]
    if own:
        raise CheckpointError(
            f"{config.runs}: no finished teacher there but {own[-1].path.name}, which is the student's own model",
            f"edgekd train-teacher makes another; --teacher {own[-1].path.name} takes it nonetheless",
        )
    raise no_teacher(config.runs)


def _is_own(run: Run, config: WithTeacher) -> bool:
    manifest = run.manifest()
    return manifest.get("status") == "finished" and manifest["command"] in TEACHING and _is_student(manifest, config)


def _why(taken: Run, config: WithTeacher) -> str:
    """Why this one, where several would have done."""
    if config.teacher is not None and (is_run(config.teacher, config.runs) or config.teacher_weights is not None):
        return ""
    found = _candidates(config, None if config.teacher is None else resolve(config.teacher))
    if len(found) < 2 or found[0][0].path != taken.path:
        return ""
    top1 = found[0][1]["result"]["val_top1"] or 0
    return f", the most accurate by validation ({top1:.2%}) of {len(found)} on this data; --teacher RUN takes another"


def check_classes(run: Run, data: ImageData) -> None:
    """Raise CheckpointError when a run was trained on other classes or fewer channels than the data has."""
    known, channels = (run.manifest()["model"][key] for key in ("classes", "channels"))
    if channels < data.channels:
        raise CheckpointError(f"{run.path}: takes grey images, these are in colour", "give --channels 1")
    _check_classes(str(run.path), known, data)


def _check_classes(place: str, known: Sequence[str], data: ImageData) -> None:
    if list(known) != list(data.classes):
        raise CheckpointError(
            f"{place}: knows {len(known)} classes ({', '.join(known[:3])}, ...), "
            f"{data.name} has {len(data.classes)} ({', '.join(data.classes[:3])}, ...)",
            "take a teacher trained on this data, or finetune one to it (edgekd finetune RUN --data ...)",
        )
