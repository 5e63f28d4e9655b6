"""A distillation's teacher made ready: live, from its cache (written first where it is missing), or from caches."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from edgekd.cache.alignment import known_images
from edgekd.cache.fit import check_fit, version_warning
from edgekd.cache.folder import cache_names, find_cache
from edgekd.cache.plan import CachePlan, read_plan
from edgekd.cache.store import LogitCache, open_cache
from edgekd.cache.temperature import check_temperature
from edgekd.compute.distributed import everyone
from edgekd.compute.formats import Format, device_of
from edgekd.config import CacheLogits, Distill, weighed
from edgekd.data.inheritance import inherit_data_options, tell_limit
from edgekd.data.sources import open_data
from edgekd.data.view_choice import choose_views, tell_other_views
from edgekd.data.view_options import QUICK_VIEWS, settle_views, view_recipe
from edgekd.errors import CacheError, UsageError
from edgekd.images.imageset import ImageData, describe_data
from edgekd.images.named import NO_LABELS
from edgekd.methods.contract import Method
from edgekd.models.finished import teachers_named
from edgekd.models.outputs import TAIL
from edgekd.report import Reporter
from edgekd.runs import Run, same_data, slug
from edgekd.teachers.cache_pass import Purpose, fill
from edgekd.teachers.resolve import Found, find_teacher, open_for, teacher_and_data
from edgekd.teachers.several import ask_together
from edgekd.teachers.source import KnownTeacher, answers_sum, as_it_is_now, open_tail
from edgekd.teachers.strong_views import (
    check_alike,
    is_strong_cache,
    open_strong_cache,
    strong_parents,
    write_strong_cache,
)
from edgekd.teachers.teacher import Cached, Ensemble, Live, Nobody, Teacher
from edgekd.teachers.wanted import Wanted, samples_in, wanted_for


@dataclass(frozen=True)
class Taught:
    """A teacher ready to be asked, the data it belongs to, the options completed by both; seconds of checking."""

    teacher: Teacher
    data: ImageData
    config: Distill
    parents: dict[str, Any]
    views: int | None
    checking: float = 0.0


@dataclass(frozen=True)
class AtHand:
    """A teacher that can be asked, the data and options completed by it, and its cache's folder, begun or whole.

    `cache` is None where there is none, or with --live.
    """

    teacher: KnownTeacher
    data: ImageData
    config: Distill
    cache: Path | None


def make_ready(config: Distill, method: Method, place: Run, report: Reporter, found: Found | None = None) -> Taught:
    """The teacher that `config` names, for this method; `found` is what find_teacher has given already.

    Raises UsageError when `place`, the run to be written, is the teacher itself, CacheError when a cache does not fit.
    """
    if not method.asks_teacher:
        return _alone(config, report)
    if config.cache:
        return _from_caches(config, method, place, report)
    return _from_teacher(config, method, place, report, found)


def _alone(config: Distill, report: Reporter) -> Taught:
    """No teacher, and the data that the options name."""
    given = {
        "--teacher": config.teacher,
        "--teacher-weights": config.teacher_weights,
        "--cache": config.cache,
        "--ensemble": config.ensemble != "fixed",
    }
    for flag, value in given.items():
        if value:
            raise UsageError(f"{flag}: --method {config.method} asks no teacher", "leave it out, or choose kd")
    with everyone().in_turn():
        data = open_data(config, report)
    config = choose_views(config, {}, None, data, report)
    return Taught(Nobody(len(data.classes)), data, config, {}, None)


def caches_of(config: Distill) -> dict[Path, float]:
    """The folders that --cache names, with their weights.

    Raises CacheError with the nearest names when one is not there, UsageError for a weight that is none.
    """
    found: dict[Path, float] = {}
    for text in config.cache:
        name, weight = weighed(text, "cache")
        folder = find_cache(config.caches, name)
        if folder in found:
            raise UsageError(f"--cache {text}: named twice", "give each cache once, as NAME=WEIGHT")
        found[folder] = weight
    return found


def newest_cache(config: Distill, teacher: Found) -> Path | None:
    """The newest cache of this teacher on the data requested, finished or not."""
    if isinstance(teacher, str):
        return None
    sha = answers_sum(teacher) if isinstance(teacher, Path) else teacher.manifest().get("weights_sha256")
    found = []
    for folder in cache_names(config.caches):
        try:
            plan = read_plan(folder)
        except CacheError:
            # another one's damage or older format; `edgekd cache ls` shows it
            continue
        is_wanted = config.data is None or same_data(config.data, plan.data["options"]["data"])
        if plan.teacher["sha256"] == sha and is_wanted and _suits_schedule(plan, config):
            found.append(folder)
    found = [folder for folder in found if not is_strong_cache(folder)]
    return max(found, key=lambda folder: (folder / "plan.json").stat().st_mtime_ns) if found else None


def _suits_schedule(plan: CachePlan, config: Distill) -> bool:
    """Patient teaching has a cache of its own, with its mixup; any other schedule takes what is there."""
    return config.schedule != "patient" or plan.views.get("mixup", 0.0) == (config.mixup or 0.0)


def _from_caches(config: Distill, method: Method, place: Run, report: Reporter) -> Taught:
    """The caches named, whose teachers need not be there any more."""
    named = caches_of(config)
    _check_ensemble(config, len(named))
    caches = [open_cache(folder) for folder in named]
    first = caches[0]
    for cache in caches:
        _refuse_itself(Path(cache.plan.teacher["place"]), place)
        _check_method(cache.folder, cache.plan, method)
        _check_views(cache, config)
    before, config = config, inherit_data_options(config, first.plan.data["options"], str(first.folder / "plan.json"))
    tell_limit(before, config, first.folder, report)
    with everyone().in_turn():
        data = open_for(first.plan.data["classes"], config, report)
    for cache in caches[1:]:
        check_alike(first, cache)
    for cache in caches:
        if warning := version_warning(cache.folder, cache.plan):
            report.warn(warning)
        tell_other_views(cache.folder, cache.plan.views, Path(cache.plan.teacher["place"]), report)
    taught = _cached(caches, list(named.values()), known_images(first, data), config, method)
    return replace(taught, checking=_check_shards([*caches, *_strong_of(taught.teacher)], taught.views or 1, report))


def at_hand(config: Distill, method: Method, place: Run, report: Reporter, found: Found) -> AtHand:
    """What `distill` starts from with this teacher, before its cache is written or completed.

    Raises UsageError when `place`, the run to be written, is the teacher itself, CacheError when a cache does not fit.
    """
    _check_ensemble(config, 1)
    if not isinstance(found, str):
        _refuse_itself(found.path if isinstance(found, Run) else found, place)
    kept = None if config.live else newest_cache(config, found)
    if kept is not None:
        plan = read_plan(kept)
        _check_method(kept, plan, method)
        before, config = config, inherit_data_options(config, plan.data["options"], str(kept / "plan.json"))
        tell_limit(before, config, kept, report)
    elif config.schedule == "quick" and not config.live:
        config = replace(config, views=config.views or QUICK_VIEWS)
    with everyone().in_turn():
        teacher, data, config = teacher_and_data(config, report, found)
    return AtHand(teacher, data, config, kept)


def _from_teacher(config: Distill, method: Method, place: Run, report: Reporter, found: Found | None) -> Taught:
    """The teacher requested: live, or through its cache, which is written first where it is missing."""
    if named := teachers_named(config):
        for name, _ in named:
            _refuse_itself(Path(name) if Path(name).exists() else config.runs / name, place)
        with everyone().in_turn():
            together, data, config, parents = ask_together(config, named, report)
        return Taught(together, data, config, parents, None)
    known = at_hand(config, method, place, report, find_teacher(config) if found is None else found)
    teacher, data, config, kept = known.teacher, known.data, known.config, known.cache
    if config.live:
        network = teacher.network(config).to(device_of(config))
        Format(memory_format=teacher.layout).prepare(network)
        config = choose_views(config, teacher.views, teacher.place, data, report)
        config = replace(config, teacher=str(teacher.place), teacher_weights=None)
        parents = {"teacher": {"run" if teacher.run else "file": str(teacher.place), "sha256": teacher.sha256}}
        return Taught(Live(network, samples_in(data)), data, config, parents, None)
    shared = {each.name for each in fields(Distill)} - {"name", "overwrite", "batch_size", "resume"}
    given = {each.name: getattr(config, each.name) for each in fields(CacheLogits) if each.name in shared}
    wanted = wanted_for(config, teacher, data)
    purpose = Purpose(config.epochs, wanted.temperature, wanted.is_dense)
    filled = fill(teacher, data, CacheLogits(**given | _place(config, wanted, kept, teacher)), report, purpose)
    cache = open_cache(filled.folder)
    if "strong" in method.views:
        write_strong_cache(teacher, data, cache, CacheLogits(**given), report)
    taught = _cached([cache], [1.0], filled.data, config, method)
    return replace(taught, checking=_check_shards([cache, *_strong_of(taught.teacher)], taught.views or 1, report))


def _place(config: Distill, wanted: Wanted, kept: Path | None, teacher: KnownTeacher) -> dict[str, Any]:
    """Name and columns of the cache to use: the newest where it has what is wanted, else one beside it."""
    columns = tuple(sorted({*config.columns, *wanted.columns}))
    if kept is None:
        name = f"{teacher.name}-patient" if config.schedule == "patient" and config.mixup else None
        if config.data == NO_LABELS:
            name = f"{teacher.name}-{slug(str(config.unlabelled))}"
        return {"name": name, "columns": columns}
    if wanted.is_in(read_plan(kept)):
        return {"name": kept.name, "columns": config.columns}
    return {"name": f"{teacher.name}-{slug(config.method)}", "columns": columns}


def _check_shards(caches: Sequence[LogitCache], views: int, report: Reporter) -> float:
    """Read all that will be used against its checksums, now rather than in the middle of the training; the seconds."""
    began = time.monotonic()
    for cache in caches:
        with report.stage(f"checking {cache.folder}", cache.rows * views, "rows") as bar:
            for shard in cache.check(views):
                bar.advance(len(shard))
    return time.monotonic() - began


def _check_ensemble(config: Distill, teachers: int) -> None:
    """Raise UsageError when a single teacher is to be weighed."""
    if config.ensemble != "fixed" and teachers == 1:
        raise UsageError(
            f"--ensemble {config.ensemble}: there is one teacher only",
            "name several: --cache A --cache B, or --live --teacher A,B",
        )


def _refuse_itself(teacher: Path, place: Run) -> None:
    """Raise UsageError when the run to be written, which is cleared first, is the teacher or holds it."""
    if place.path.resolve() in (teacher.resolve(), *teacher.resolve().parents):
        raise UsageError(f"{place.path}: is the teacher, a student cannot take its place", "give another --name")


def _check_method(folder: Path, plan: CachePlan, method: Method) -> None:
    """Raise CacheError when the method softens more than a topk cache can bear."""
    if method.temperature is not None:
        check_temperature(folder, plan, method.temperature)


def _check_views(cache: LogitCache, config: Distill) -> None:
    """Raise UsageError when more views are requested than the teacher saw."""
    if (config.views or 0) > cache.views:
        is_imported = cache.plan.teacher.get("spec") is None
        more = f"edgekd cache-logits --name {cache.folder.name} --views {config.views} adds them"
        raise UsageError(
            f"--views {config.views}: {cache.folder} has {cache.views}",
            "imported logits are of one view: leave --views out" if is_imported else more,
        )


def _cached(
    caches: Sequence[LogitCache], weights: Sequence[float], data: ImageData, config: Distill, method: Method
) -> Taught:
    """The caches as a teacher, once it is sure that they fit; their views are the student's views."""
    config = settle_views(config, caches[0].plan.views)
    for cache in caches:
        now = as_it_is_now(cache.plan)
        check_fit(cache.folder, cache.plan, now, describe_data(data), view_recipe(config).describe())
        _check_method(cache.folder, cache.plan, method)
    strong = [open_strong_cache(cache) if "strong" in method.views else None for cache in caches]
    tails = [open_tail(cache, config) if TAIL in method.teacher_needs else None for cache in caches]
    there = min(cache.views for cache in (*caches, *strong) if cache is not None)
    views = min(config.views or there, there)
    together = zip(caches, strong, tails, strict=True)
    members = [Cached(cache, strong=other, tail=tail) for cache, other, tail in together]
    named = tuple(_as_given(cache.folder, weight) for cache, weight in zip(caches, weights, strict=True))
    teacher = members[0] if len(members) == 1 else Ensemble(members, weights, config.ensemble == "confidence")
    parents = _parents(caches, weights) | strong_parents([each for each in strong if each is not None])
    return Taught(teacher, data, replace(config, cache=named, views=views), parents, views)


def _strong_of(teacher: Teacher) -> list[LogitCache]:
    """The caches of strong views that the teacher reads."""
    members = teacher.members if isinstance(teacher, Ensemble) else [teacher]
    return [each.strong for each in members if isinstance(each, Cached) and each.strong is not None]


def _as_given(folder: Path, weight: float) -> str:
    return str(folder) if weight == 1 and "=" not in str(folder) else f"{folder}={weight!r}"


def _parents(caches: Sequence[LogitCache], weights: Sequence[float]) -> dict[str, Any]:
    """What the manifest says of one cache, or of all of an ensemble."""
    described: list[Mapping[str, Any]] = [{"path": str(cache.folder), "plan": cache.plan.digest()} for cache in caches]
    if len(caches) == 1:
        return {"teacher": dict(caches[0].plan.teacher), "cache": described[0]}
    shares = [{**each, "weight": weight / sum(weights)} for each, weight in zip(described, weights, strict=True)]
    return {"teachers": [dict(cache.plan.teacher) for cache in caches], "caches": shares}
