"""What a new cache will hold and cost: number format by measurement, views within reason, room on the disk."""

import math
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgekd.cache.columns import topk_errors
from edgekd.cache.plan import CachePlan
from edgekd.cache.rows import default_store
from edgekd.cache.state import State, seconds_per_row, views_to_have
from edgekd.compute.choosing import choose_format, choose_threads
from edgekd.compute.float8 import float8_share
from edgekd.compute.formats import Format, measure_step, trial_batch
from edgekd.config import CacheLogits
from edgekd.data.batch import Batch
from edgekd.data.loader import view_in_order
from edgekd.data.view_options import settle_views, view_recipe
from edgekd.errors import CacheError, CheckpointError
from edgekd.images.imageset import ImageData, describe_data
from edgekd.models.network import Network
from edgekd.models.observer import Taps
from edgekd.report import Reporter, in_time
from edgekd.runs import environment
from edgekd.teachers.source import KnownTeacher

VIEWS = 4
"""Views of a new cache when nothing is requested (docs/results.md: accuracy against views)."""
PATIENCE = 600.0
"""Seconds that the views nobody requested may take."""
CHEAP_VIEWS, CHEAP = 24, 90.0
"""A small set is shown in many epochs: its new cache holds up to so many views while they take so few seconds."""
TOPK = 100
TEMPERATURES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0)
SPARE_BYTES = 20_000_000
"""Room left on the disk."""
TRIAL_IMAGES = 2_000


def new_plan(
    teacher: KnownTeacher, data: ImageData, config: CacheLogits, network: Network, report: Reporter
) -> tuple[CachePlan, float]:
    """Everything that decides the bytes, fixed before the first shard; and the seconds an image takes."""
    shapes: dict[str, list[int]] = {}

    def step(batch: Batch) -> Tensor:
        with torch.inference_mode():
            logits, seen = taps(batch.canvas)
            shapes.update({name: list(value.shape[1:]) for name, value in seen.items()})
            return logits.logsumexp(1).mean()

    recipe = view_recipe(settle_views(config, {}))
    device = next(network.buffers()).device
    first = next(view_in_order(data.everything, recipe, 0, config.batch_size, np.arange(len(data.everything)))).to(
        device
    )
    with Taps(network, config.columns) as taps:
        form = choose_format(config, network, first, step, report)
        threads = config.threads or choose_threads(form, network, first, step, report)
        trial = measure_step(form, network, trial_batch(network, first, step), step)
    if not math.isfinite(trial.loss):
        raise CheckpointError(
            f"the teacher {teacher.name} answers with values that are no finite numbers",
            "its weights are damaged, or its training diverged: train or fetch it again",
        )
    described = describe_data(data)
    classes = len(data.classes)
    store = config.store or default_store(classes)
    topk = min(config.topk or TOPK, classes) if store == "topk" else 0
    errors = _topk_errors(network, data, topk, form) if topk else {}
    if errors:
        tell_topk(topk, classes, errors, report)
    plan = CachePlan(
        teacher=teacher.describe(),
        data={name: described[name] for name in ("name", "options", "classes", "canvas", "channels")},
        views=recipe.describe(),
        store=store,
        batch_size=config.batch_size,
        compute={
            "precision": form.precision,
            "memory_format": form.memory_format,
            "threads": threads,
            "device": device.type,
            "versions": environment()["packages"],
            **({"float8": float8_share(network, device).to_dict()} if form.precision == "fp8" else {}),
        },
        topk=topk,
        extras=shapes,
        topk_error=errors,
    )
    return plan, trial.seconds_per_image


def _topk_errors(network: Network, data: ImageData, topk: int, form: Format) -> dict[str, float]:
    """The error of the KD gradient on evenly spaced plain images."""
    every = max(1, len(data.everything) // TRIAL_IMAGES)
    rows = np.arange(0, len(data.everything), every)[:TRIAL_IMAGES]
    device = next(network.buffers()).device
    found, targets = [], []
    with torch.inference_mode(), form.autocast(device):
        for start in range(0, len(rows), 100):
            chosen = data.everything.index[rows[start : start + 100]]
            canvas = torch.from_numpy(data.everything.pixels.gather(chosen)).to(device)
            found.append(network(canvas).float().cpu())
            targets.append(torch.from_numpy(data.everything.targets[rows[start : start + 100]]))
    return topk_errors(torch.cat(found), torch.cat(targets), topk, TEMPERATURES)


def tell_topk(topk: int, classes: int, errors: dict[str, float], report: Reporter) -> None:
    """Say what a topk store loses."""
    told = ", ".join(f"{error:.1%} at T={temperature}" for temperature, error in errors.items())
    report.note(f"topk: {topk} of {classes} logits; error of the KD gradient against all of them: {told}")


def affordable_views(plan: CachePlan, seconds: float, images: int, folder: Path, epochs: int | None) -> int:
    """Four views, more where they are cheap; as many as epochs use, ten minutes see and half of the free disk holds."""
    wanted = max(VIEWS, min(CHEAP_VIEWS, CHEAP / (seconds * images)))
    by_time = PATIENCE / (seconds * images)
    by_disk = _free_bytes(folder) / 2 / (plan.row_bytes * images)
    return max(1, int(min(wanted, epochs or wanted, by_time, by_disk)))


def settle_cache_views(state: State, wanted: int | None, images: int, epochs: int | None) -> int:
    """Views of a cache that is there, once it is used for so many epochs: no fewer than a new one would have.

    As many as `wanted` where that is given; the log tells what a view takes, and without it those there are enough.
    """
    there = views_to_have(state.folder, state.plan, wanted)
    seconds = seconds_per_row(state)
    if wanted is not None or seconds is None:
        return there
    return max(there, affordable_views(state.plan, seconds, images, state.folder, epochs))


def tell_added_views(folder: Path, there: int, views: int, report: Reporter) -> None:
    """Say that views are added to a cache that was made with fewer."""
    if views > there:
        keeps = f"--views {there} takes it as it is"
        report.note(f"cache: {folder} has {count_views(there)}, so {views - there} more are added; {keeps}")


def count_views(views: int) -> str:
    """In words."""
    return f"{views} view{'s' * (views != 1)}"


def tell_cost(plan: CachePlan, views: int, seconds: float, images: int, report: Reporter) -> None:
    """Say how large a new cache will be and how long the teacher will take."""
    size, time = plan.row_bytes * images * views / 1e6, in_time(seconds * images * views)
    report.note(f"cache: {images:,} images x {count_views(views)}, {size:,.2f} MB, about {time}")


def _free_bytes(folder: Path) -> int:
    place = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    return shutil.disk_usage(place).free


def check_room(folder: Path, plan: CachePlan, rows: int) -> None:
    """Raise CacheError when so many more rows cannot fit on the disk."""
    needed, free = rows * plan.row_bytes, _free_bytes(folder)
    if needed + SPARE_BYTES > free:
        raise CacheError(
            f"{folder}: needs {needed / 1e6:,.2f} MB for {rows:,} rows and {SPARE_BYTES / 1e6:,.0f} MB kept free, "
            f"{free / 1e6:,.2f} MB are free there",
            "make room, give --caches on another disk, fewer --views, or a smaller --store (u8, topk)",
        )
