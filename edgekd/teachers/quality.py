"""What is known of a teacher before the hours are spent, and what speaks against learning from it."""

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from edgekd.config import Distill
from edgekd.data.loader import in_order, view_in_order
from edgekd.errors import CheckpointError
from edgekd.images.imageset import ImageData
from edgekd.images.views.recipe import ViewRecipe
from edgekd.reading import read_lines
from edgekd.report import Reporter
from edgekd.runs import Run, same_data
from edgekd.teachers.alone import describe_alone, find_alone
from edgekd.teachers.teacher import Ensemble, Live, Teacher

FEW_EPOCHS = 2
MOST_ERROR = 0.05
"""Calibration error that a trained network may have; small validation sets show more by chance."""
STILL_RISING = 0.02
"""Validation accuracy gained in the last epoch, where the learning rate is near 0."""
FAMILIAR = 0.8
"""Share of its own validation accuracy that a teacher reaches on images of the kind it knows."""
CACHED_IMAGES, LIVE_IMAGES = 2_000, 256
"""Training images on which a teacher is tried."""


@dataclass(frozen=True)
class Quality:
    """A teacher's figures and the sentences against it.

    `accuracy` (0-1) is over `images` labelled training images, as the cache's view 0 shows them, or plain ones where
    the teacher is asked live; None where they are mixed with others. `members` has one record for each teacher.
    """

    members: tuple[dict[str, Any], ...]
    accuracy: float | None
    images: int
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """As a run's manifest keeps it."""
        return {
            "teachers": list(self.members),
            "train_top1": self.accuracy,
            "train_images": self.images,
            "warnings": list(self.warnings),
        }


def judge_teacher(
    teacher: Teacher, parents: Mapping[str, Any], data: ImageData, config: Distill, views: ViewRecipe, report: Reporter
) -> Quality:
    """Try the teacher on training images, read its runs, and warn of what may spoil the lesson, a sentence each.

    `views`: of the training, in which a cached teacher has seen the images.
    """
    described = parents.get("teachers") or [parents["teacher"]]
    known = [_record(Path(each.get("place") or each.get("run") or each.get("file", ""))) for each in described]
    accuracy, images = _try(teacher, data, views)
    members = tuple(_member(each, manifest, data) for each, manifest in zip(described, known, strict=True))
    warnings = [line for member, manifest in zip(members, known, strict=True) for line in _against(member, manifest)]
    if len(members) == 1:
        warnings += _of_other_images(members[0], known[0], accuracy, data)
    warnings += _no_better(members, data, config)
    for line in warnings:
        report.warn(line)
    return Quality(members, accuracy, images, tuple(warnings))


def _record(place: Path) -> dict[str, Any]:
    """The manifest of a teacher's run; empty where it is gone, or was none."""
    run = Run(place if place.suffix == "" or place.is_dir() else place.parent)
    with suppress(CheckpointError):
        if run.is_there:
            return run.manifest() | {"metrics": _accuracies(run)}
    return {}


def _accuracies(run: Run) -> list[float]:
    """Validation accuracy of every epoch."""
    rows = read_lines(run.metrics, CheckpointError)
    return [row["val_top1"] for row in rows if isinstance(row.get("val_top1"), float)]


def _member(described: Mapping[str, Any], manifest: dict[str, Any], data: ImageData) -> dict[str, Any]:
    """Its name, model and figures; the test accuracy only where its test images are those of this data."""
    place = described.get("place") or described.get("run") or described.get("file", "")
    found = {"name": described.get("name") or Path(place).name, "place": place}
    found["model"] = described.get("model") or manifest.get("model", {}).get("name")
    result = manifest.get("result") or {}
    names = ("val_top1", "val_calibration_error", "val_temperature")
    found |= {name: result[name] for name in names if result.get(name) is not None}
    is_same = manifest and same_data(data.options["data"], manifest["data"]["options"]["data"])
    if is_same and result.get("test_images") == int((data.test.targets >= 0).sum()):
        found["test_top1"] = result["test_top1"]
    return found


def _try(teacher: Teacher, data: ImageData, views: ViewRecipe) -> tuple[float | None, int]:
    """The share of labelled training images that the teacher knows, and of how many."""
    first = teacher.members[0] if isinstance(teacher, Ensemble) else teacher
    is_live = isinstance(first, Live)
    if not is_live and (views.mixup or views.cutmix) and not views.plain_view:
        return None, 0
    known = data.train.labelled()
    every = -(-len(known) // (LIVE_IMAGES if is_live else CACHED_IMAGES)) or 1
    split = replace(known, index=known.index[::every], targets=known.targets[::every])
    device = first.network.offset.device if isinstance(first, Live) else torch.device("cpu")
    batches = in_order(split, 100) if is_live else view_in_order(split, views, 0, 100, range(len(split)))
    right = 0
    for batch in batches:
        with torch.inference_mode():
            said = teacher(batch.to(device)).logits
        right += 0 if said is None else int((said.argmax(1).cpu() == batch.target).sum())
    return (right / len(split) if len(split) else None), len(split)


def _against(member: Mapping[str, Any], manifest: Mapping[str, Any]) -> Iterator[str]:
    """What its own run says against it."""
    if not manifest:
        return
    name, config, result = member["name"], manifest.get("config") or {}, manifest.get("result") or {}
    if config.get("label_smoothing"):
        yield (
            f"teacher {name}: was trained with label smoothing {config['label_smoothing']:g}, which takes from its "
            "logits how classes relate; train one with --label-smoothing 0"
        )
    error, temperature = result.get("val_calibration_error"), result.get("val_temperature")
    images = result.get("val_images") or 1
    if error is not None and temperature is not None and error > MOST_ERROR + 1 / math.sqrt(images):
        how = "less" if temperature < 1 else "more"
        yield (
            f"teacher {name}: is badly calibrated, {how} sure than right by {error:.0%} on validation; "
            f"divided by {temperature:.2f} its logits would fit"
        )
    epochs, seen = config.get("epochs"), manifest["metrics"]
    if manifest.get("command") != "adopt" and isinstance(epochs, int) and epochs <= FEW_EPOCHS and not _began(manifest):
        yield f"teacher {name}: was trained for {epochs} epoch{'s' * (epochs > 1)} only; train it longer"
    elif rise := _last_rise(seen, images):
        yield (
            f"teacher {name}: had not converged, its validation accuracy rose by {rise:.1%} in its last epoch; "
            "train it longer"
        )


def _began(manifest: Mapping[str, Any]) -> bool:
    """Whether it began from trained weights, so that few epochs may do."""
    return bool(manifest.get("parents"))


def _last_rise(seen: list[float], images: int) -> float | None:
    """By how much the last epoch was better than all before, where that is more than chance."""
    if len(seen) < FEW_EPOCHS:
        return None
    rise = seen[-1] - max(seen[:-1])
    return rise if rise > STILL_RISING + 1 / math.sqrt(images) else None


def _of_other_images(
    member: Mapping[str, Any], manifest: Mapping[str, Any], accuracy: float | None, data: ImageData
) -> Iterator[str]:
    """Whether it knows images of another kind than these."""
    if accuracy is None or manifest.get("data", {}).get("fingerprint") == data.fingerprint:
        return
    own, chance = member.get("val_top1"), 1 / len(data.classes)
    if own is not None and accuracy < FAMILIAR * own:
        yield (
            f"teacher {member['name']}: knows {accuracy:.1%} of these training images but {own:.1%} of its own "
            "validation images, so it was trained on images of another kind; finetune it to these first"
        )
    elif own is None and accuracy < min(2 * chance, (1 + chance) / 2):
        yield (
            f"teacher {member['name']}: knows {accuracy:.1%} of these training images, guessing {chance:.1%}; check "
            "its normalisation and the order of its classes"
        )


def _no_better(members: tuple[dict[str, Any], ...], data: ImageData, config: Distill) -> Iterator[str]:
    """Whether a student alone is known to do as well."""
    alone = find_alone(config.runs, config.student, data.fingerprint)
    if alone is None:
        return
    known = describe_alone(alone)
    for member in members:
        if member.get("test_top1") is not None and member["test_top1"] <= known["test_top1"]:
            yield (
                f"teacher {member['name']}: {member['test_top1']:.2%} on test is not better than {config.student} "
                f"alone, {known['test_top1']:.2%} ({known['run']}); take a better teacher"
            )
