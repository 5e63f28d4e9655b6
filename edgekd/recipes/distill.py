"""`edgekd distill`: a student learns from a teacher's cached or live knowledge, and from labels."""

from pathlib import Path

import torch

from edgekd.cache.store import open_cache
from edgekd.config import Distill
from edgekd.declaration import as_dict
from edgekd.methods.contract import Method, Spec
from edgekd.methods.loading import check_needs, load_method
from edgekd.models.defaults import recipe_for
from edgekd.models.names import resolve
from edgekd.models.trained import build_student
from edgekd.objectives import Distillation
from edgekd.recipes.dry_run.estimate import dry_run
from edgekd.report import Reporter, Result
from edgekd.runs import Run, data_name, file_sum, slug
from edgekd.teachers.preparation import caches_of, make_ready
from edgekd.teachers.resolve import find_teacher, onnx_name
from edgekd.training.claim import claim
from edgekd.training.resume import go_on, is_finished
from edgekd.training.rounding import round_network
from edgekd.training.session import Job, summary, train
from edgekd.training.settings import settle, weigh_classes
from edgekd.training.update import LayerRate


def run(config: Distill, report: Reporter) -> Result:
    """Distil `config.student` and finish its run folder."""
    method = _method(config)
    name = config.name or _name(config, report) + ("" if config.quantize == "none" else f"-{config.quantize}")
    if config.dry_run:
        return dry_run(config, method, Run(config.runs / name), report)
    place = claim(config.runs, name, resume=config.resume, overwrite=config.overwrite)
    given = as_dict(config)
    if config.resume and place.is_there:
        config = go_on(config, place, "distill")
        if is_finished(place, report):
            return summary(place)
        method = _method(config)
    resolve(config.student)
    if config.student_weights is not None:
        file_sum(config.student_weights)
    taught = make_ready(config, method, place, report)
    data, config = taught.data, taught.config
    torch.manual_seed(config.seed)
    student = build_student(config, data, report)
    recipe = recipe_for(student.spec.name)
    if config.quantize != "none":
        config = round_network(student, data, config, report)
        recipe = recipe.by(config.optimizer).further(is_folded=True)
    config = settle(config, recipe, len(data.train))
    learner = Spec(len(data.classes), frozenset({"logits"}))
    check_needs(config.method, method, learner, taught.teacher.spec)
    method.bind(learner, taught.teacher.spec)
    weights = (config.alpha, config.label_smoothing or 0.0)
    objective = Distillation(student, taught.teacher, method, weights, weigh_classes(config, data))
    parents = taught.parents
    if config.student_weights is not None:
        parents = parents | {
            "student": {"file": str(config.student_weights), "sha256": file_sum(config.student_weights)}
        }
    job = Job("distill", config, data, place, parents, given, taught.views)
    return train(job, objective, [LayerRate(list(objective.parameters()), 1.0)], report)


def _method(config: Distill) -> Method:
    return load_method(config.method, config.set, {"temperature": config.temperature})


def _name(config: Distill, report: Reporter) -> str:
    """Made of student, teacher and data."""
    student = slug(config.student)
    if config.cache:
        plans = [open_cache(folder).plan for folder in caches_of(config)]
        return f"{student}-from-{slug('-'.join(slug(plan.teacher['model']) for plan in plans))}-{plans[0].data['name']}"
    found = find_teacher(config, report)
    if isinstance(found, str):
        return f"{student}-from-{slug(resolve(found))}-{data_name(config.data)}"
    if isinstance(found, Path) and not Run(found.parent).is_there:
        return f"{student}-from-{onnx_name(found, data_name(config.data))}"
    manifest = (Run(found.parent) if isinstance(found, Path) else found).manifest()
    return f"{student}-from-{slug(manifest['model']['name'])}-{manifest['data']['name']}"
