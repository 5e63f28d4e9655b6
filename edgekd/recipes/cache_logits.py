"""`edgekd cache-logits`: the teacher sees every view of every image once, and its logits are kept."""

import time
from dataclasses import replace
from typing import Any

import torch

from edgekd.cache.plan import Plan, check_fit, read_plan
from edgekd.cache.store import LogitCache, missing_shards, open_cache, seal, write_shard
from edgekd.config import CacheLogits
from edgekd.data.batch import Batch
from edgekd.data.loader import view_in_order
from edgekd.errors import CacheError
from edgekd.images.imageset import ImageData
from edgekd.models.network import Network
from edgekd.recipes.parents import load_network, teacher_and_data
from edgekd.report import Reporter, Result, Table
from edgekd.runs import Run, append_line, check_writable, clear, plain_name, read_lines
from edgekd.training.formats import Format, choose_format, device_of, measure_step, trial_batch
from edgekd.training.session import describe_data
from edgekd.training.settings import settle_views, view_recipe

VIEWS = 4
"""Views of a new cache when nothing is asked for and the teacher is quick enough."""
PATIENCE = 600.0
"""Seconds that the views nobody asked for may take."""


def run(config: CacheLogits, report: Reporter) -> Result:
    """Fill the cache of a teacher and say what it holds."""
    check_writable(config.caches)
    if config.name is not None:
        plain_name(config.name)
    teacher, data, config = teacher_and_data(config, report)
    started = time.perf_counter()
    cache = fill(teacher, data, config, report)
    size = sum(path.stat().st_size for path in cache.folder.rglob("*") if path.is_file())
    facts: dict[str, Any] = {
        "cache": str(cache.folder),
        "teacher": str(teacher.path),
        "data": data.name,
        "images": cache.plan.rows,
        "classes": cache.plan.classes,
        "views": cache.views,
        "store": cache.plan.store,
        "size_bytes": size,
        "teacher_top1": _agreement(cache, data),
        "seconds": round(time.perf_counter() - started, 2),
    }
    rows = [
        ("teacher", facts["teacher"]),
        ("images x views", f"{facts['images']:,} x {facts['views']}"),
        ("teacher's accuracy on view 0", f"{facts['teacher_top1']:.2%} (training images)"),
        ("size", f"{size / 1e6:.2f} MB, {size / (cache.plan.rows * cache.views):.1f} bytes per image and view"),
        ("cache", facts["cache"]),
    ]
    return Result(facts, (Table("edgekd cache-logits", ("", ""), rows),))


def fill(teacher: Run, data: ImageData, config: CacheLogits, report: Reporter) -> LogitCache:
    """The teacher's cache for this data, written or completed where needed.

    Raises CacheError when another cache is in its place.
    """
    folder = config.caches / (config.name or teacher.path.name)
    plan = _known_plan(teacher, data, config)
    there = open_cache(folder).views if plan is not None and (folder / "manifest.json").is_file() else 0
    begun = [row["views"] for row in read_lines(folder / "log.jsonl") if "views" in row]
    views = max(there, config.views or there or (begun or [VIEWS])[-1])
    if plan is not None and views == there and not list(missing_shards(folder, plan, views)):
        report.note(f"cache: {folder}, {views} views")
        return open_cache(folder)
    network = load_network(teacher).to(device_of(config)).eval()
    if plan is None:
        plan, seconds = _new_plan(teacher, data, config, network, report)
        views = config.views or _affordable_views(seconds * len(data.everything), report)
        plan.save(folder)
        append_line(folder / "log.jsonl", {"views": views})
    _write(network, data, plan, replace(config, views=views), report)
    return open_cache(folder)


def _describe_teacher(teacher: Run) -> dict[str, str]:
    manifest = teacher.manifest()
    return {"name": teacher.path.name, "model": manifest["model"]["name"], "sha256": manifest["weights_sha256"]}


def _known_plan(teacher: Run, data: ImageData, config: CacheLogits) -> Plan | None:
    """The plan that is there already, if it fits; with --overwrite one that does not is removed."""
    folder = config.caches / (config.name or teacher.path.name)
    if not folder.exists():
        return None
    try:
        plan = read_plan(folder)
        views = view_recipe(settle_views(config, plan.views)).describe()
        check_fit(folder, plan, _describe_teacher(teacher), describe_data(data), views)
        if config.store not in (None, plan.store):
            raise CacheError(f"{folder}: holds {plan.store}, not {config.store}", "--overwrite makes it anew")
    except CacheError:
        if not config.overwrite or not (folder / "plan.json").is_file():
            raise
        clear(folder)
        return None
    return plan


def _new_plan(
    teacher: Run, data: ImageData, config: CacheLogits, network: Network, report: Reporter
) -> tuple[Plan, float]:
    """Everything that decides the bytes, fixed before the first shard; and the seconds an image takes."""

    def step(batch: Batch) -> torch.Tensor:
        with torch.inference_mode():
            logits: torch.Tensor = network(batch.canvas).float()
            return logits.logsumexp(1).mean()

    views = view_recipe(settle_views(config, {}))
    device = next(network.parameters()).device
    rows = range(len(data.everything))
    first = next(view_in_order(data.everything, views, 0, config.batch_size, rows)).to(device)
    form = choose_format(config, network, first, step, report)
    seconds = measure_step(form, network, trial_batch(network, first, step), step).seconds_per_image
    compute = {"precision": form.precision, "memory_format": form.memory_format, "threads": torch.get_num_threads()}
    described = describe_data(data)
    plan = Plan(
        _describe_teacher(teacher), described, views.describe(), config.store or "fp16", config.batch_size, compute
    )
    return plan, seconds


def _affordable_views(seconds_per_view: float, report: Reporter) -> int:
    """Four views, or as many as a slow teacher sees within ten minutes, and at least one."""
    views = max(1, min(VIEWS, int(PATIENCE / seconds_per_view)))
    if views < VIEWS:
        report.note(f"views: {views}, since one takes about {seconds_per_view:.0f} s (--views asks for more)")
    return views


def _write(network: Network, data: ImageData, plan: Plan, config: CacheLogits, report: Reporter) -> None:
    """Write the shards that are missing, then the manifest."""
    folder = config.caches / (config.name or plan.teacher["name"])
    form = Format(plan.compute["precision"], plan.compute["memory_format"])
    form.apply(network)
    torch.set_num_threads(plan.compute["threads"] if config.threads is None else config.threads)
    device = next(network.parameters()).device
    recipe = view_recipe(settle_views(config, plan.views))
    views = config.views or VIEWS
    todo = list(missing_shards(folder, plan, views))
    spans = plan.spans()
    total = sum(len(spans[number]) for _, number in todo)
    with torch.inference_mode(), report.stage("teacher", total, "images") as progress:
        for view, number in todo:
            started, found = time.perf_counter(), []
            for batch in view_in_order(data.everything, recipe, view, plan.batch_size, spans[number]):
                with form.autocast(device):
                    found.append(network(batch.canvas.to(device)).float().cpu())
                progress.advance(len(batch))
            write_shard(folder, plan, view, number, torch.cat(found))
            seconds = round(time.perf_counter() - started, 3)
            append_line(folder / "log.jsonl", {"view": view, "shard": number, "seconds": seconds})
    seal(folder, plan, views)


def _agreement(cache: LogitCache, data: ImageData) -> float:
    """Share of labelled training images whose label is the teacher's first choice in view 0."""
    labelled = data.everything.targets >= 0
    chosen = cache.logits(0, data.everything.index[labelled]).argmax(1).numpy()
    return float((chosen == data.everything.targets[labelled]).mean())
