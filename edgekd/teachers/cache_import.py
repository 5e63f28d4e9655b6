"""`edgekd cache-logits --import`: logits of a teacher trained elsewhere become a cache of the plain images."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekd.cache.alignment import number_images
from edgekd.cache.columns import encode, topk_errors
from edgekd.cache.fit import check_fit
from edgekd.cache.folder import all_shards, missing_shards, seal
from edgekd.cache.logit_files import in_class_order, read_logits, rows_for
from edgekd.cache.plan import CachePlan, read_plan
from edgekd.cache.rows import default_store
from edgekd.cache.shards import write_shard
from edgekd.cache.store import open_cache
from edgekd.config import CacheLogits
from edgekd.data.sources import open_data
from edgekd.errors import CacheError
from edgekd.images.imageset import ImageData, describe_data
from edgekd.images.views.recipe import ViewRecipe
from edgekd.models.onnx_network import are_probabilities
from edgekd.report import Reporter
from edgekd.runs import append_line, clear, environment, file_sum, slug
from edgekd.teachers.cache_pass import Filled
from edgekd.teachers.cache_planning import TEMPERATURES, TOPK, TRIAL_IMAGES, check_room, tell_topk

PLAIN = ViewRecipe(crop=0.0, flip=False, seed=0)
"""The only view whose pixels are known: the canvas itself."""
IMPORTED = "imported"
"""What a plan says in place of a number format and a layout."""
ROWS = 65_536
"""Rows looked at at once."""


def import_logits(path: Path, config: CacheLogits, report: Reporter) -> Filled:
    """The cache of a file's logits, made or found complete.

    Raises CacheError when the file does not fit the data, or another cache is in the cache's place.
    """
    found = read_logits(path)
    data = open_data(config, report)
    rows = rows_for(found, data.listing.paths)
    logits = torch.from_numpy(_as_logits(in_class_order(found, data.classes), path, report))
    targets = torch.from_numpy(data.everything.targets)
    folder = config.caches / (config.name or slug(path.stem))
    store = config.store or default_store(len(data.classes))
    topk = min(config.topk or TOPK, len(data.classes)) if store == "topk" else 0
    plan = _plan(path, data, config, (store, topk), _errors(logits, rows, targets, topk))
    _check_place(folder, plan, data, config)
    check_room(folder, plan, len(rows))
    if plan.save(folder):
        append_line(folder / "log.jsonl", {"views": 1})
        if plan.topk_error:
            tell_topk(topk, len(data.classes), plan.topk_error, report)
    parts, data = number_images(folder, plan, data)
    shards = all_shards(plan, parts, 1)
    for shard in missing_shards(folder, shards):
        span = slice(shard.start, shard.stop)
        write_shard(folder, shard, encode(logits[rows[span]], targets[span], store, topk))
    seal(folder, plan, parts, 1)
    report.note(f"{path}: logits of the plain images: students learn from them without augmentation")
    return Filled(folder, open_cache(folder), data, len(shards), len(shards))


def _as_logits(values: Any, path: Path, report: Reporter) -> Any:  # noqa: ANN401 - numpy's own
    if not are_probabilities(torch.from_numpy(values[:ROWS])):
        return values
    report.note(f"{path}: holds probabilities; their logarithms are taken as logits")
    return np.log(np.maximum(values, np.finfo(np.float32).tiny))


def _errors(logits: Tensor, rows: NDArray[np.int64], targets: Tensor, topk: int) -> dict[str, float]:
    every = max(1, len(rows) // TRIAL_IMAGES)
    return topk_errors(logits[rows[::every]], targets[::every], topk, TEMPERATURES) if topk else {}


def _plan(
    path: Path, data: ImageData, config: CacheLogits, store: tuple[str, int], errors: dict[str, float]
) -> CachePlan:
    described = describe_data(data)
    teacher = {"name": slug(path.stem), "place": str(path), "model": slug(path.stem), "sha256": file_sum(path)}
    return CachePlan(
        teacher=teacher | {"code": None, "feeding": None, "spec": None},
        data={name: described[name] for name in ("name", "options", "classes", "canvas", "channels")},
        views=PLAIN.describe(),
        store=store[0],
        batch_size=config.batch_size,
        compute={
            "precision": IMPORTED,
            "memory_format": IMPORTED,
            "threads": 1,
            "device": IMPORTED,
            "versions": environment()["packages"],
        },
        topk=store[1],
        topk_error=errors,
    )


def _check_place(folder: Path, plan: CachePlan, data: ImageData, config: CacheLogits) -> None:
    """Raise CacheError when another cache, or something else, is there; with --overwrite a cache is removed."""
    if not (folder / "plan.json").is_file():
        if folder.exists() and any(path.suffix != ".part" for path in folder.iterdir()):
            raise CacheError(f"{folder}: is there, but is not a cache, so it is left alone", "give another --name")
        return
    try:
        known = read_plan(folder)
        check_fit(folder, known, plan.teacher, describe_data(data), plan.views)
        if known.digest() != plan.digest():
            raise CacheError(
                f"{folder}: is there with --store {known.store} and --batch-size {known.batch_size}",
                "--overwrite makes it anew, --name NAME makes another beside it",
            )
    except CacheError:
        if not config.overwrite:
            raise
        clear(folder)
