"""The teacher of a run asked again: its answers to the same images, and the labels that it contradicts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgekd.cache.alignment import known_images
from edgekd.cache.store import LogitCache, open_cache
from edgekd.config import Report
from edgekd.errors import CacheError, CheckpointError, EdgekdError
from edgekd.images.imageset import ImageData
from edgekd.models.network import Network, Spec
from edgekd.models.onnx_network import open_onnx
from edgekd.report import Reporter
from edgekd.reporting.lineage import ancestors, caches_of, parents_of
from edgekd.reporting.quality import Answers
from edgekd.reporting.shown_images import labelled_images
from edgekd.runs import Run
from edgekd.runtimes.suffixes import is_model_file
from edgekd.teachers.resolve import SAMPLE
from edgekd.teachers.source import KnownTeacher, answers_sum

MIXING = ("mixup", "cutmix")
"""Settings of views in which an image is not only itself."""


@dataclass(frozen=True)
class Asked:
    """A teacher's network and what a report says of it."""

    network: Network
    facts: dict[str, Any]


def find_teacher(run: Run, data: ImageData, config: Report, report: Reporter) -> Asked | None:
    """The first teacher of a run, or of the run it was finetuned from; None, with a note, when it cannot be asked."""
    for _, _, manifest in reversed(ancestors(run)):
        for role, parent in parents_of(manifest):
            if role == "teacher":
                return _opened(parent, data, config, report)
    return None


def _opened(parent: Mapping[str, Any], data: ImageData, config: Report, report: Reporter) -> Asked | None:
    where = parent.get("place") or parent.get("run") or parent.get("file")
    place = Path(str(where))
    try:
        if answers_sum(place) != parent.get("sha256"):
            raise CheckpointError(f"{place}: other weights than the student learnt from", "restore them")
        spec = _spec(parent, place, data, report)
        if tuple(spec.classes) != data.classes:
            raise CheckpointError(f"{place}: knows other classes", "give the data it was trained on")
        network = KnownTeacher(place.name, place, spec, str(parent["sha256"])).network(config)
    except EdgekdError as error:
        report.note(f"teacher: left out of the report ({error.problem})")
        return None
    facts = {"name": str(parent.get("name") or place.name), "model": spec.name, "place": str(place)}
    return Asked(network, facts | _cost_of(place))


def _spec(parent: Mapping[str, Any], place: Path, data: ImageData, report: Reporter) -> Spec:
    """How the teacher is built and fed: as its cache knows, its run, or its ONNX file."""
    if parent.get("spec"):
        return Spec.from_dict(parent["spec"])
    if not is_model_file(place):
        return Spec.from_dict(Run(place).manifest()["model"])
    rows = data.everything.index[:SAMPLE]
    return open_onnx(place, data, torch.from_numpy(data.everything.pixels.gather(rows)), report)


def _cost_of(place: Path) -> dict[str, Any]:
    if not place.is_dir():
        return {"size_bytes": place.stat().st_size}
    manifest, run = Run(place).manifest(), Run(place)
    result = manifest.get("result", {})
    return {
        "params": manifest.get("params"),
        "macs": manifest.get("macs"),
        "size_bytes": run.weights.stat().st_size,
        "train_seconds": result.get("train_seconds"),
    }


def suspects(run: Run, data: ImageData, config: Report, report: Reporter) -> dict[str, Any] | None:
    """Training images whose label the cached teacher contradicts with at least the probability `config.sure`.

    The probability is the mean over the cached views. None, with a note, where there is no cache that can tell.
    """
    described = next((found for _, _, each in reversed(ancestors(run)) if (found := caches_of(each))), [])
    if not described:
        return None
    place = Path(described[0]["path"])
    try:
        cache = open_cache(place)
        if cache.plan.digest() != described[0]["plan"]:
            raise CacheError(f"{place}: another cache than the student learnt from", "make it again")
        if tuple(cache.plan.data["classes"]) != data.classes:
            raise CacheError(f"{place}: of other classes", "give the data it was made from")
        if any(cache.plan.views.get(name) for name in MIXING):
            raise CacheError(f"{place}: its views are mixed images", "make a cache without mixup and CutMix")
        return _contradicted(cache, data, config)
    except EdgekdError as error:
        report.note(f"labels: not checked against the teacher ({error.problem})")
        return None


def _contradicted(cache: LogitCache, data: ImageData, config: Report) -> dict[str, Any]:
    images = labelled_images(data, "train")
    rows = labelled_images(known_images(cache, data), "train").split.ids
    chances = np.zeros((len(rows), len(data.classes)))
    for view in range(cache.views):
        chances += Answers(cache.logits(view, rows).numpy(), images.split.targets).probabilities / cache.views
    # the logarithm of the mean probabilities has exactly these as its softmax
    answers = Answers(np.log(np.maximum(chances, 1e-30)).astype(np.float32), images.split.targets)
    best = chances.argmax(axis=1)
    sure = chances[np.arange(len(rows)), best]
    found = np.flatnonzero((best != images.split.targets) & (sure >= config.sure))
    order = found[np.argsort(-sure[found], kind="stable")]
    return {
        "cache": str(cache.folder),
        "views": cache.views,
        "of": len(rows),
        "sure": config.sure,
        "images": len(order),
        "listed": [images.describe(int(place), answers) for place in order[: config.pictures]],
        "names": [images.names[int(place)] for place in order[:1000]],
    }


def without_thumbnails(facts: Any) -> Any:  # noqa: ANN401
    """The same JSON value without pictures."""
    if isinstance(facts, Mapping):
        return {key: without_thumbnails(value) for key, value in facts.items() if key != "thumbnail"}
    return [without_thumbnails(each) for each in facts] if isinstance(facts, list) else facts
