"""`edgekd distill`: a student learns from a teacher's cached or live knowledge, and from labels."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from edgekd.cache.plan import check_fit, read_plan
from edgekd.cache.store import LogitCache, open_cache
from edgekd.config import CacheLogits, Distill
from edgekd.data.sources import open_data
from edgekd.declaration import as_dict
from edgekd.errors import CacheError, nearest
from edgekd.images.imageset import ImageData
from edgekd.methods.contract import Spec
from edgekd.methods.loading import check_needs, load_method
from edgekd.models.build import build
from edgekd.models.defaults import recipe_for
from edgekd.models.names import resolve
from edgekd.models.network import Network
from edgekd.models.weights import apply_weights, build_for, load_weights
from edgekd.objectives import Distillation
from edgekd.recipes.cache_logits import fill
from edgekd.recipes.continuing import go_on, is_finished
from edgekd.recipes.parents import find_teacher, inherit_data_options, load_network, same_data, teacher_and_data
from edgekd.report import Reporter, Result
from edgekd.runs import Run, claim, data_name, slug
from edgekd.teachers import Cached, Live, Teacher
from edgekd.training.formats import Format, device_of
from edgekd.training.session import Job, describe_data, summary, train
from edgekd.training.settings import settle, settle_views, view_recipe
from edgekd.training.update import LayerRate


@dataclass(frozen=True)
class Taught:
    """A teacher ready to be asked, the data it belongs to, and the options completed by both."""

    teacher: Teacher
    data: ImageData
    config: Distill
    parents: dict[str, Any]
    views: int | None


def run(config: Distill, report: Reporter) -> Result:
    """Distil `config.student` and finish its run folder."""
    method = load_method(config.method, config.set, {"temperature": config.temperature})
    place = claim(config.runs, config.name or _name(config, report), resume=config.resume, overwrite=config.overwrite)
    given = as_dict(config)
    if config.resume and place.is_there:
        config = go_on(config, place, "distill")
        if is_finished(place):
            return summary(place)
    taught = _from_cache(config, report) if config.cache else _from_teacher(config, report)
    data, config = taught.data, taught.config
    torch.manual_seed(config.seed)
    student = _student(config, data)
    config = settle(config, recipe_for(student.spec.name), len(data.train))
    learner = Spec(len(data.classes), frozenset({"logits"}))
    check_needs(config.method, method, learner, taught.teacher.spec)
    method.bind(learner, taught.teacher.spec)
    weights = (config.alpha, config.label_smoothing or 0.0)
    objective = Distillation(student, taught.teacher, method, weights)
    job = Job("distill", config, data, place, taught.parents, given, taught.views)
    return train(job, objective, [LayerRate(list(objective.parameters()), 1.0)], report)


def _name(config: Distill, report: Reporter) -> str:
    if config.cache:
        plan = open_cache(_cache_folder(config)).plan
        return f"{slug(config.student)}-from-{slug(plan.teacher['model'])}-{plan.data['name']}"
    found = find_teacher(config, report)
    if isinstance(found, Run):
        manifest = found.manifest()
        return f"{slug(config.student)}-from-{slug(manifest['model']['name'])}-{manifest['data']['name']}"
    return f"{slug(config.student)}-from-{slug(resolve(found))}-{data_name(config.data)}"


def _cache_folder(config: Distill) -> Path:
    name = config.cache or ""
    for folder in (Path(name), config.caches / name):
        if (folder / "plan.json").is_file():
            return folder
    there = [path.parent.name for path in config.caches.glob("*/plan.json")]
    raise CacheError(f"--cache {name}: no such cache in {config.caches}", nearest(name, there))


def _from_cache(config: Distill, report: Reporter) -> Taught:
    """The cache named, whose teacher need not be there any more."""
    cache = open_cache(_cache_folder(config))
    config = inherit_data_options(config, cache.plan.data["options"], str(cache.folder / "plan.json"))
    return _cached(cache, open_data(config, report), config)


def _from_teacher(config: Distill, report: Reporter) -> Taught:
    """The teacher asked for: live, or through its cache, which is written first where it is missing."""
    kept = None if config.live else _newest_cache(config, find_teacher(config, report))
    if kept is not None:
        options = read_plan(kept).data["options"]
        config = inherit_data_options(config, options, str(kept / "plan.json"))
    teacher, data, config = teacher_and_data(config, report)
    parents = {"teacher": {"run": str(teacher.path), "sha256": teacher.manifest()["weights_sha256"]}}
    if config.live:
        network = load_network(teacher).to(device_of(config))
        form = Format("fp32", "channels-last")
        form.apply(network)
        config = replace(config, teacher=str(teacher.path), teacher_weights=None)
        return Taught(Live(network, form), data, config, parents, None)
    shared = {each.name for each in fields(Distill)} - {"name", "overwrite", "batch_size", "resume"}
    given = {each.name: getattr(config, each.name) for each in fields(CacheLogits) if each.name in shared}
    name = kept.name if kept is not None else None
    return _cached(fill(teacher, data, CacheLogits(**given, name=name), report), data, config)


def _newest_cache(config: Distill, teacher: Run | str) -> Path | None:
    """The newest cache of this teacher on the data asked for, finished or not."""
    if not isinstance(teacher, Run):
        return None
    sha = teacher.manifest()["weights_sha256"]
    found = []
    for path in config.caches.glob("[!.]*/plan.json"):
        plan = read_plan(path.parent)
        is_wanted = config.data is None or same_data(config.data, plan.data["options"]["data"])
        if plan.teacher["sha256"] == sha and is_wanted:
            found.append(path)
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent if found else None


def _cached(cache: LogitCache, data: ImageData, config: Distill) -> Taught:
    """The cache as a teacher, once it is sure that it fits; its views are the student's views."""
    config = settle_views(config, cache.plan.views)
    check_fit(cache.folder, cache.plan, None, describe_data(data), view_recipe(config).describe())
    views = min(config.views or cache.views, cache.views)
    config = replace(config, cache=str(cache.folder), views=views)
    parents = {"teacher": dict(cache.plan.teacher), "cache": {"path": str(cache.folder), "plan": cache.plan.digest()}}
    return Taught(Cached(cache), data, config, parents, views)


def _student(config: Distill, data: ImageData) -> Network:
    if config.student_weights is None:
        return build(config.student, data, input_size=config.input_size)
    state, origin = load_weights(config.student_weights), str(config.student_weights)
    network = build_for(config.student, data, state, origin, input_size=config.input_size)
    apply_weights(network, state, origin)
    return network
