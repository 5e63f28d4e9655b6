"""Filling a cache: planned once, checked against existing shards, written shard by shard, sealed at the end."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from edgekd.cache.alignment import number_images
from edgekd.cache.columns import encode
from edgekd.cache.fit import check_fit, version_warning
from edgekd.cache.folder import Shard, all_shards, missing_shards, read_manifest, seal
from edgekd.cache.guard import guarding, in_use
from edgekd.cache.listing import match
from edgekd.cache.parts import ListingPart, read_parts
from edgekd.cache.plan import CachePlan, read_plan
from edgekd.cache.shards import write_shard
from edgekd.cache.state import read_state, views_asked, views_to_have
from edgekd.cache.store import LogitCache, open_cache
from edgekd.cache.temperature import LIMIT, check_temperature, error_at
from edgekd.compute.distributed import everyone
from edgekd.compute.formats import Format, device_of
from edgekd.config import CacheLogits, share_of
from edgekd.data.batch import Batch
from edgekd.data.loader import view_in_order
from edgekd.data.view_choice import choose_views, tell_other_views
from edgekd.data.view_options import settle_views, view_recipe
from edgekd.declaration import flag
from edgekd.errors import CacheError, CheckpointError, DataError, Interrupted
from edgekd.images.imageset import ImageData, describe_data
from edgekd.models.network import Network
from edgekd.models.observer import Taps
from edgekd.ranks import own_cores
from edgekd.report import Progress, Reporter
from edgekd.runs import append_line, clear
from edgekd.teachers.cache_planning import (
    affordable_views,
    check_room,
    count_views,
    new_plan,
    settle_cache_views,
    tell_added_views,
    tell_cost,
)
from edgekd.teachers.source import KnownTeacher


@dataclass(frozen=True)
class Filled:
    """What filling gives: the folder, the cache unless shares of others are missing, the data numbered as in it."""

    folder: Path
    cache: LogitCache | None
    data: ImageData
    there: int
    shards: int


@dataclass(frozen=True)
class Purpose:
    """What a cache is filled for: `epochs` bound the views left open, `temperature` what top-k may lose.

    `is_dense` when all logits are needed; `is_own` when it is made for itself: the number format and batch size asked
    for are then the teacher's.
    """

    epochs: int | None = None
    temperature: float | None = None
    is_dense: bool = False
    is_own: bool = False


def fill(teacher: KnownTeacher, data: ImageData, config: CacheLogits, report: Reporter, purpose: Purpose) -> Filled:
    """The teacher's cache for this data, written or completed where needed.

    Raises CacheError when another cache is in its place, or when the disk has no room for it.
    """
    ranks = everyone()
    config = teacher.settle(config)
    if ranks.world > 1:
        config = replace(config, threads=config.threads or own_cores())
    folder = config.caches / (config.name or teacher.name)
    with ranks.in_turn():
        plan, network = _plan(folder, teacher, data, config, report, purpose)
        parts, data = number_images(folder, plan, data)
    if warning := version_warning(folder, plan):
        report.warn(warning)
    views = ranks.from_first(lambda: _views(folder, plan, data, config, report, purpose))
    shards = all_shards(plan, parts, views)
    todo = missing_shards(folder, shards)
    if not todo and _is_sealed(folder, plan, parts, views):
        report.note(f"cache: {folder}, {views} views")
        return Filled(folder, open_cache(folder), data, len(shards), len(shards))
    check_room(folder, plan, sum(map(len, todo)))
    rank, world = share_of(config.shard)
    mine = set(shards[rank::world])
    if ranks.is_first and views > max(plan.first_views, views_asked(folder)):
        append_line(folder / "log.jsonl", {"views": views})
    is_new = network is not None
    network = network or teacher.network(config).to(device_of(config)).eval()
    work = _Work(folder, plan, tuple(shard for shard in todo if shard in mine))
    try:
        with guarding(folder):
            _write(work, network, data, config, report)
    except CheckpointError:
        if is_new and world == 1:
            # a cache of this teacher can never be whole
            clear(folder)
        raise
    ranks.wait()
    left = missing_shards(folder, shards)
    if left:
        return Filled(folder, None, data, len(shards) - len(left), len(shards))
    with ranks.in_turn():
        if ranks.is_first:
            seal(folder, plan, parts, views)
    return Filled(folder, open_cache(folder), data, len(shards), len(shards))


def _views(
    folder: Path, plan: CachePlan, data: ImageData, config: CacheLogits, report: Reporter, purpose: Purpose
) -> int:
    """How many views the cache will have; a student's training completes one that was made with fewer."""
    there = views_to_have(folder, plan, config.views)
    usual = settle_cache_views(read_state(folder), config.views, len(data.everything), purpose.epochs)
    if not purpose.is_own:
        tell_added_views(folder, there, usual, report)
        return usual
    if usual > there:
        adds = f"--views {usual} adds them"
        report.note(f"cache: {folder} has {count_views(there)}, a new one would have {usual}; {adds}")
    return there


def _plan(
    folder: Path, teacher: KnownTeacher, data: ImageData, config: CacheLogits, report: Reporter, purpose: Purpose
) -> tuple[CachePlan, Network | None]:
    """The plan that is there, or a new one, and the network that it took to make it."""
    plan = _known_plan(folder, teacher, data, config, purpose)
    if plan is not None:
        tell_other_views(folder, plan.views, Path(plan.teacher["place"]), report)
        return plan, None
    is_replaced = (folder / "plan.json").is_file()
    with guarding(folder, alone=True) if is_replaced else nullcontext():
        made, network, seconds = _new_plan(folder, teacher, data, config, report, purpose)
        if is_replaced:
            # only now is it sure that there will be another
            clear(folder)
        if made.save(folder):
            tell_cost(made, made.first_views, seconds, len(data.everything), report)
        elif _known_plan(folder, teacher, data, config, purpose) is None:
            # another process was faster, with a plan that does not fit
            raise in_use(folder)
    return read_plan(folder), network


def _new_plan(
    folder: Path, teacher: KnownTeacher, data: ImageData, config: CacheLogits, report: Reporter, purpose: Purpose
) -> tuple[CachePlan, Network, float]:
    """A plan made now, the network, and the seconds that one image takes it."""
    network = teacher.network(config).to(device_of(config)).eval()
    config = choose_views(config, teacher.views, teacher.place, data, report)
    plan, seconds = new_plan(teacher, data, config, network, report)
    plan = _for_method(folder, plan, config, purpose, report)
    views = config.views or affordable_views(plan, seconds, len(data.everything), folder, purpose.epochs)
    check_room(folder, plan, views * len(data.everything))
    return replace(plan, first_views=views), network, seconds


def _known_plan(
    folder: Path, teacher: KnownTeacher, data: ImageData, config: CacheLogits, purpose: Purpose
) -> CachePlan | None:
    """The plan that is there already, if it fits; None where there is none, or with --overwrite one that does not."""
    if not (folder / "plan.json").is_file():
        if folder.exists() and any(path.suffix != ".part" for path in folder.iterdir()):
            raise CacheError(f"{folder}: is there, but is not a cache, so it is left alone", "give another --name")
        return None
    try:
        plan = read_plan(folder)
        views = view_recipe(settle_views(config, plan.views)).describe()
        check_fit(folder, plan, teacher.describe(), describe_data(data), views)
        _check_store(folder, plan, config)
        if purpose.is_own:
            _check_format(folder, plan, config)
        parts = read_parts(folder)
        if parts:
            match(folder, parts, data.listing)
        if (folder / "manifest.json").is_file():
            read_manifest(folder, plan)
    except CacheError:
        if not config.overwrite:
            raise
        return None
    return plan


def _check_store(folder: Path, plan: CachePlan, config: CacheLogits) -> None:
    asked = {"store": config.store, "topk": config.topk, "columns": sorted(config.columns) or None}
    there = {"store": plan.store, "topk": plan.topk, "columns": sorted(plan.extras)}
    for name, value in asked.items():
        if value not in (None, there[name]):
            raise CacheError(
                f"{folder}: its {name} is {there[name] or 'none'}, not {value}",
                f"edgekd cache-logits --name {folder.name} --overwrite makes it anew, another --name one beside it",
            )


def _check_format(folder: Path, plan: CachePlan, config: CacheLogits) -> None:
    """Raise CacheError when the cache was made otherwise than asked: its shards must all be alike."""
    there = {name: plan.compute.get(name) for name in ("precision", "memory_format")} | {"batch_size": plan.batch_size}
    for name, value in there.items():
        asked = getattr(config, name)
        if asked not in (value, "auto", CacheLogits.batch_size):
            raise CacheError(
                f"{folder}: made with --{flag(name)} {value}, not {asked}",
                "leave it out; --overwrite makes the cache anew, --name NAME makes another beside it",
            )


def _for_method(folder: Path, plan: CachePlan, config: CacheLogits, purpose: Purpose, report: Reporter) -> CachePlan:
    """The plan, with all logits as u8 where nobody requested the top-k that the method does not bear."""
    temperature, is_open = purpose.temperature, config.store is None and config.topk is None
    if purpose.is_dense and plan.store == "topk" and is_open:
        report.note("store: u8, all logits, for the method needs them")
        return replace(plan, store="u8", topk=0, topk_error={})
    if temperature is None or not plan.topk_error:
        return plan
    if is_open and error_at(plan.topk_error, temperature) > LIMIT:
        report.note(f"store: u8, all logits, for topk loses too much at temperature {temperature:g}")
        return replace(plan, store="u8", topk=0, topk_error={})
    check_temperature(folder, plan, temperature)
    return plan


def _is_sealed(folder: Path, plan: CachePlan, parts: Sequence[ListingPart], views: int) -> bool:
    return (folder / "manifest.json").is_file() and read_manifest(folder, plan) == (views, len(parts))


@dataclass(frozen=True)
class _Work:
    """What one process writes."""

    folder: Path
    plan: CachePlan
    todo: tuple[Shard, ...]


def _write(work: _Work, network: Network, data: ImageData, config: CacheLogits, report: Reporter) -> None:
    """Write the shards; a kill at any instant costs the one being made."""
    folder, plan, todo = work.folder, work.plan, work.todo
    form = Format(plan.compute["precision"], plan.compute["memory_format"])
    form.prepare(network)
    torch.set_num_threads(config.threads or min(plan.compute["threads"], own_cores()))
    recipe = view_recipe(settle_views(config, plan.views))
    taps = Taps(network, tuple(plan.extras))
    stage = report.stage("teacher", sum(map(len, todo)), "images")
    with torch.inference_mode(), taps, stage as bar:
        for done, shard in enumerate(todo):
            started = time.perf_counter()
            span = range(shard.start, shard.stop)
            batches = view_in_order(data.everything, recipe, shard.view, plan.batch_size, span)
            try:
                write_shard(folder, shard, _columns(taps, batches, plan, form, bar))
                seconds = round(time.perf_counter() - started, 3)
                row = {"view": shard.view, "shard": shard.number, "seconds": seconds, "share": config.shard}
                append_line(folder / "log.jsonl", row)
            except DataError as error:
                raise CacheError(
                    f"{error.problem}; {done} of {len(todo)} shards are written",
                    "make room and give the same command again: it goes on from there",
                ) from error
            except KeyboardInterrupt as stop:
                raise _interrupted(folder, done, len(todo), stop) from stop


def _interrupted(folder: Path, done: int, shards: int, stop: KeyboardInterrupt) -> Interrupted:
    """In words; the command line raises KeyboardInterrupt with the signal's number for SIGTERM."""
    number = int(stop.args[0]) if stop.args else signal.SIGINT
    return Interrupted(
        f"interrupted; {done} of {shards} shards that were missing are now in {folder}",
        "the same command goes on from there",
        number,
    )


def _columns(taps: Taps, batches: Iterator[Batch], plan: CachePlan, form: Format, bar: Progress) -> dict[str, Tensor]:
    """What the teacher says of these batches, as columns; raises CheckpointError when it is no number."""
    device = taps.device
    found: dict[str, list[Tensor]] = {}
    for batch in batches:
        with form.autocast(device):
            logits, seen = taps(batch.canvas.to(device))
        rows = encode(logits.cpu(), batch.target, plan.store, plan.topk)
        rows |= {name: value.half().cpu().contiguous() for name, value in seen.items()}
        _check_finite(rows, plan)
        for name, value in rows.items():
            found.setdefault(name, []).append(value)
        bar.advance(len(batch))
    return {name: torch.cat(parts) for name, parts in found.items()}


def _check_finite(rows: dict[str, Tensor], plan: CachePlan) -> None:
    """Raise CheckpointError when a stored number is none, or is too large for its format."""
    for name, value in rows.items():
        # the mass of the rest is log(0) where all logits are listed
        if name != "rest" and value.is_floating_point() and not torch.isfinite(value).all():
            raise CheckpointError(
                f"the teacher {plan.teacher['name']} gives {name} that are not finite as {value.dtype}",
                "it has diverged: train it again with a smaller --lr; or numbers are above 65,504: --store fp32",
            )
