"""The second cache of a method that shows each image in a strong view too: beside the first, named `<first>-strong`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekd.cache.fit import check_fit
from edgekd.cache.plan import read_plan
from edgekd.cache.store import LogitCache, open_cache
from edgekd.config import CacheLogits
from edgekd.data.view_options import settle_views, view_recipe
from edgekd.errors import CacheError
from edgekd.images.imageset import ImageData
from edgekd.report import Reporter
from edgekd.teachers.cache_pass import Purpose, fill
from edgekd.teachers.source import KnownTeacher

ENDING = "-strong"


def is_strong_cache(folder: Path) -> bool:
    """Whether a cache holds the strong views of another: it is not offered to methods of one view."""
    return folder.name.endswith(ENDING)


def write_strong_cache(
    teacher: KnownTeacher, data: ImageData, weak: LogitCache, config: CacheLogits, report: Reporter
) -> None:
    """Write what the teacher says of the strong views of all images that are in `weak`, where it is missing."""
    settled = settle_views(config, weak.plan.views)
    strong = view_recipe(settled).strengthened()
    name, views = weak.folder.name + ENDING, min(config.views or weak.views, weak.views)
    options = replace(
        settled,
        name=name,
        views=views,
        columns=(),
        randaugment=strong.randaugment,
        magnitude=strong.magnitude,
        erase=strong.erase,
    )
    fill(teacher, data, options, report, Purpose(is_dense=True))


def open_strong_cache(weak: LogitCache) -> LogitCache:
    """The cache of the strong views that belongs to this one.

    Raises CacheError when it is not there, or of other views, images or teacher.
    """
    folder = weak.folder.with_name(weak.folder.name + ENDING)
    if not (folder / "plan.json").is_file():
        raise CacheError(
            f"{folder}: not there; it would hold the strong views",
            f"name the teacher in place of its cache, --teacher {weak.plan.teacher['name']}: both are then written; "
            "or add --live",
        )
    plan = read_plan(folder)
    expected = view_recipe(settle_views(CacheLogits(), weak.plan.views)).strengthened().describe()
    check_fit(folder, plan, weak.plan.teacher, weak.plan.data, expected)
    cache = open_cache(folder)
    check_alike(weak, cache)
    return cache


def strong_parents(caches: Sequence[LogitCache]) -> dict[str, Any]:
    """What the manifest says of the caches of strong views; nothing where there are none."""
    described = [{"path": str(cache.folder), "plan": cache.plan.digest()} for cache in caches]
    return {"strong": described[0] if len(described) == 1 else described} if described else {}


def check_alike(first: LogitCache, other: LogitCache) -> None:
    """Raise CacheError when two caches of an ensemble do not number the same images alike: views follow the numbers."""
    if first.parts == other.parts:
        return
    counts = f"{other.rows:,} images in {len(other.parts)} goes there, {first.rows:,} in {len(first.parts)} here"
    grown = max(other, first, key=lambda cache: len(cache.parts))
    known = grown.plan.teacher
    origin = f"--teacher {known['name']}" if known.get("spec") else f"--import {known['place']}"
    raise CacheError(
        f"{other.folder}: does not fit {first.folder}: it lists other images, or the same in another order ({counts})",
        f"make {grown.folder.name} anew, in one go and on the same images: edgekd cache-logits "
        f"{origin} --name {grown.folder.name} --overwrite",
    )
