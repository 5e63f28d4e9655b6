"""`edgekd cache-logits`: the teacher sees every view of every image once, and its answers are kept."""

import time
from dataclasses import replace
from typing import Any

import torch

from edgekd.cache.store import LogitCache
from edgekd.compute.distributed import everyone
from edgekd.config import CacheLogits
from edgekd.images.imageset import ImageData
from edgekd.methods.loading import load_method
from edgekd.models.build import build
from edgekd.report import Reporter, Result, Table
from edgekd.runs import check_writable, folder_bytes, plain_name
from edgekd.teachers.cache_import import import_logits
from edgekd.teachers.cache_pass import Purpose, fill
from edgekd.teachers.resolve import teacher_and_data
from edgekd.teachers.source import KnownTeacher
from edgekd.teachers.wanted import Wanted, is_content_with_logits, wanted_by

ROWS = 8_192
"""Rows compared with the labels at once."""


def run(config: CacheLogits, report: Reporter) -> Result:
    """Fill the cache of a teacher, or this process's share of it, and say what it holds."""
    check_writable(config.caches)
    if config.name is not None:
        plain_name(config.name)
    started = time.perf_counter()
    if config.import_ is not None:
        place, filled = config.import_, import_logits(config.import_, config, report)
    else:
        with everyone().in_turn():
            teacher, data, config = teacher_and_data(config, report)
        started = time.perf_counter()
        wanted = _wanted(config, teacher, data)
        config = replace(config, columns=tuple(sorted({*config.columns, *wanted.columns})))
        purpose = Purpose(temperature=wanted.temperature, is_dense=wanted.is_dense, is_own=True)
        place, filled = teacher.place, fill(teacher, data, config, report, purpose)
    facts: dict[str, Any] = {
        "cache": str(filled.folder),
        "teacher": str(place),
        "data": filled.data.name,
        "finished": filled.cache is not None,
        "shards": filled.shards,
        "shards_written": filled.there,
        "seconds": round(time.perf_counter() - started, 2),
    }
    if filled.cache is None:
        line = f"{filled.there} of {filled.shards} shards are there, the others are other shares' (edgekd cache status)"
        return Result(facts, lines=(line,))
    facts |= describe(filled.cache) | {"teacher_top1": _agreement(filled.cache, filled.data)}
    _warn_of_chance(facts["teacher_top1"], filled.data, report)
    return Result(facts, (_table(facts),))


def _wanted(config: CacheLogits, teacher: KnownTeacher, data: ImageData) -> Wanted:
    """What --for asks to be stored."""
    if config.for_ is None:
        return Wanted()
    method = load_method(config.for_, config.set, {}, config)
    if is_content_with_logits(method):
        return wanted_by(method, config.for_, None, data)
    with torch.random.fork_rng():
        student = build(config.student, data, code=config)
    return wanted_by(method, config.for_, (student, teacher.network(config)), data)


def _warn_of_chance(top1: float, data: ImageData, report: Reporter) -> None:
    """Warn of a teacher that is hardly better than guessing: its input or its classes are not what was assumed."""
    chance = 1 / len(data.classes)
    if top1 < min(2 * chance, (1 + chance) / 2) and (data.everything.targets >= 0).any():
        report.warn(
            f"the teacher is right on {top1:.1%} of the labelled training images, guessing on {chance:.1%}: check its "
            "normalisation, the order of its classes and that it was trained on such images"
        )


def describe(cache: LogitCache) -> dict[str, Any]:
    """What a whole cache holds, as plain JSON values."""
    size = folder_bytes(cache.folder)
    return {
        "images": cache.rows,
        "classes": cache.plan.classes,
        "views": cache.views,
        "store": cache.plan.store,
        "columns": sorted(cache.plan.columns),
        "size_bytes": size,
        "bytes_per_image_view": round(size / (cache.rows * cache.views), 2),
    }


def _table(facts: dict[str, Any]) -> Table:
    each = facts["bytes_per_image_view"]
    rows = [
        ("teacher", facts["teacher"]),
        ("images x views", f"{facts['images']:,} x {facts['views']}"),
        ("teacher's accuracy on view 0", f"{facts['teacher_top1']:.2%} (training images)"),
        ("store", f"{facts['store']} ({', '.join(facts['columns'])})"),
        ("size", f"{facts['size_bytes'] / 1e6:.2f} MB, {each:.1f} bytes per image and view"),
        ("cache", facts["cache"]),
    ]
    return Table("edgekd cache-logits", ("", ""), rows)


def _agreement(cache: LogitCache, data: ImageData) -> float:
    """Share of labelled training images whose label is the teacher's first choice in view 0."""
    labelled = (data.everything.targets >= 0).nonzero()[0]
    ids = data.everything.ids
    right = 0
    for start in range(0, len(labelled), ROWS):
        rows = labelled[start : start + ROWS]
        chosen = cache.logits(0, ids[rows]).argmax(1).numpy()
        right += int((chosen == data.everything.targets[rows]).sum())
    return right / max(1, len(labelled))
