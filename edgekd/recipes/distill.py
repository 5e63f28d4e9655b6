"""`edgekd distill`: a student learns from a teacher's cached or live knowledge, and from labels."""

import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from edgekd.cache.store import open_cache
from edgekd.compute.distributed import everyone
from edgekd.config import Distill
from edgekd.data.sources import check_labelled, open_data
from edgekd.data.view_choice import choose_views
from edgekd.data.view_options import schedule_views, view_recipe
from edgekd.declaration import as_dict
from edgekd.errors import UsageError
from edgekd.images.imageset import ImageData
from edgekd.images.named import NO_LABELS
from edgekd.images.sources import NO_CLASS
from edgekd.methods import is_own_method
from edgekd.methods.contract import Method
from edgekd.methods.labels import LabelLoss
from edgekd.methods.loading import join, method_sum
from edgekd.methods.ramps import ALPHA, ramps_of
from edgekd.methods.sides import side_of
from edgekd.models.defaults import recipe_for
from edgekd.models.finished import teachers_named
from edgekd.models.names import resolve
from edgekd.models.outputs import LOGITS, TAIL
from edgekd.models.trained import build_peers, build_student
from edgekd.objectives.distillation import Distillation
from edgekd.objectives.mutual import Mutual, pairs_of
from edgekd.objectives.objective import Objective
from edgekd.reading import at_home
from edgekd.recipes.compared.generations import raise_generations
from edgekd.recipes.compared.pairs import compare
from edgekd.recipes.dry_run.estimate import dry_run
from edgekd.report import Reporter, Result
from edgekd.runs import Run, data_name, file_sum, slug
from edgekd.teachers.preparation import Taught, caches_of, make_ready
from edgekd.teachers.quality import judge_teacher
from edgekd.teachers.resolve import Found, file_name, find_teacher
from edgekd.teachers.wanted import method_of, samples_in
from edgekd.training.claim import claim, settle_name
from edgekd.training.resume import go_on, is_finished
from edgekd.training.rounding import round_network
from edgekd.training.session import Job, train
from edgekd.training.settings import Settled, settle, weigh_classes
from edgekd.training.summary import summary, tell_no_gain
from edgekd.training.update import LayerRate


@dataclass(frozen=True)
class Lesson:
    """What is to be trained on which data, the options completed by it, and where it came from."""

    objective: Objective
    data: ImageData
    config: Distill
    settled: Settled
    parents: dict[str, Any]
    views: int | None = None
    spent: float = 0.0
    """Seconds that went into checking caches."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Further keys of the manifest."""


def run(config: Distill, report: Reporter) -> Result:
    """Distil `config.student` and finish its run folder, those of other seeds and generations, the student alone."""
    if config.generations > 1:
        return _generations(config, report)
    if config.compare_alone or config.seeds > 1:
        return compare(config, _distil, report)
    return _distil(config, report)


def _generations(config: Distill, report: Reporter) -> Result:
    config = _with_place_of_method(config)
    method = method_of(config)
    if not method.asks_teacher:
        raise UsageError(
            f"--generations {config.generations}: --method {config.method} asks no teacher", "choose kd or another"
        )
    return raise_generations(config, config.name or _made_name(config, method, _find(config, method)), _distil, report)


def _distil(config: Distill, report: Reporter) -> Result:
    config = _with_place_of_method(config)
    method = method_of(config)
    # of a run to go on with, the manifest says from what it learns
    found = None if config.resume and config.name is not None else _find(config, method)
    name = config.name or _made_name(config, method, found) + (
        "" if config.quantize == "none" else f"-{config.quantize}"
    )
    if config.dry_run:
        if config.peers:
            raise UsageError("--dry-run: does not time --peers", "leave it out, and time a training of --steps 20")
        _refuse_special(config, method, "--dry-run", "it times", "leave it out, and time a training of --steps 20")
        return dry_run(schedule_views(config), method, Run(config.runs / name), found, report)
    name = settle_name(config, name, report)
    place = claim(config.runs, name, resume=config.resume, overwrite=config.overwrite)
    given = as_dict(config)
    if config.resume and place.is_there:
        config, found = go_on(config, place, "distill"), None
        if is_finished(place, report):
            return summary(place)
        method = method_of(config, place.manifest()["parents"].get("method", {}).get("sha256"))
    else:
        config = schedule_views(config)
    resolve(config.student)
    if config.student_weights is not None:
        file_sum(config.student_weights)
    lesson = _of_peers(config, method, report) if config.peers else _of_teacher(config, method, place, found, report)
    job = Job(
        "distill",
        lesson.settled,
        lesson.config,
        lesson.data,
        place,
        lesson.parents,
        given,
        lesson.views,
        update=lesson.config.update,
        spent=lesson.spent,
        facts=lesson.facts,
    )
    result = train(job, lesson.objective, [LayerRate(list(lesson.objective.parameters()), 1.0)], report)
    tell_no_gain(result, report)
    return result


def _with_place_of_method(config: Distill) -> Distill:
    """A method file is known by its whole path, so that the run can be resumed from elsewhere."""
    is_own = is_own_method(config.method)
    return replace(config, method=str(at_home(config.method).resolve())) if is_own else config


def _of_teacher(config: Distill, method: Method, place: Run, found: Found | None, report: Reporter) -> Lesson:
    """A student and its teacher, cached or live."""
    _check_classes(config, method, config.data == NO_LABELS and config.teacher_weights is not None)
    taught = make_ready(config, method, place, report, found)
    data, config = taught.data, taught.config
    _check_classes(config, method, data.classes == (NO_CLASS,))
    torch.manual_seed(config.seed)
    student = build_student(config, data, report)
    recipe = recipe_for(student.spec.name)
    if config.quantize != "none":
        config = round_network(student, data, config, report)
        recipe = recipe.by(config.optimizer).further(is_folded=True)
    settled = settle(config, recipe, len(data.train))
    join(config.method, method, side_of(student, samples_in(data)), taught.teacher.side)
    config = _with_alpha(config, method)
    labels, ramp = _labels(settled, data), ramps_of(config.ramp).get(ALPHA)
    objective = Distillation(student, taught.teacher, method, config.alpha, labels, ramp)
    objective.weighing.has_labels = data.has_labels
    facts = _judged(taught, replace(config, student=student.spec.name), settled, report)
    parents = taught.parents | _files(config)
    return Lesson(objective, data, config, settled, parents, taught.views, taught.checking, facts)


def _check_classes(config: Distill, method: Method, is_without: bool) -> None:
    """Raise UsageError when a method learns from labels or a teacher's classes, and there are neither."""
    needs_classes = any(need.startswith(LOGITS) for need in method.teacher_needs) or not method.asks_teacher
    if is_without and needs_classes:
        raise UsageError(
            f"--data none: --method {config.method} learns from classes, and neither images nor teacher have any",
            "a method of features: fitnet, at, sp, rkd, crd, reviewkd, or scalekd --set kd=off",
        )


def _judged(taught: Taught, config: Distill, settled: Settled, report: Reporter) -> dict[str, Any]:
    """What the manifest says of the teacher, which is warned of before the hours are spent."""
    if not taught.parents or not everyone().is_first:
        return {}
    found = judge_teacher(taught.teacher, taught.parents, taught.data, config, view_recipe(settled), report)
    return {"teacher_quality": found.as_dict()}


def _of_peers(config: Distill, method: Method, report: Reporter) -> Lesson:
    """A student and its peers, with a method of its own for every pair."""
    works = "kd, ls, dkd, dist, ttm, wttm, rld, or a method of features but scalekd"
    _refuse_special(config, method, "--peers", "peers are shown", works)
    with everyone().in_turn():
        data = open_data(config, report)
    check_labelled(data, "distill --peers")
    config = choose_views(config, {}, None, data, report)
    torch.manual_seed(config.seed)
    networks = build_peers(config, data, report)
    settled = settle(config, recipe_for(networks[""].spec.name), len(data.train))
    sides = {name: side_of(network, samples_in(data)) for name, network in networks.items()}
    methods = {pair: copy.deepcopy(method) for pair in pairs_of(networks)}
    for (learner, teacher), each in methods.items():
        join(config.method, each, sides[learner], sides[teacher])
        if TAIL in each.teacher_needs:
            raise UsageError(
                f"--peers: --method {config.method} computes with its teacher's last stage, which a peer still trains",
                "choose kd or another; or distil from a finished teacher (--teacher)",
            )
    config = _with_alpha(config, method)
    labels, ramp = _labels(settled, data), ramps_of(config.ramp).get(ALPHA)
    objective = Mutual(networks, methods, config.alpha, labels, ramp)
    return Lesson(objective, data, config, settled, _files(config))


def _refuse_special(config: Distill, method: Method, asked: str, limit: str, hint: str) -> None:
    """Raise UsageError where a teacher and one view of each image is all there is, and the method wants otherwise."""
    if not method.asks_teacher:
        raise UsageError(f"{asked}: --method {config.method} learns from no other network, only from itself", hint)
    if "strong" in method.views:
        raise UsageError(
            f"{asked}: --method {config.method} wants a strong view of each image as well, and one view is all that "
            f"{limit}",
            hint,
        )


def _with_alpha(config: Distill, method: Method) -> Distill:
    """The options with the method's own alpha where neither another one nor a ramp is given."""
    is_given = config.alpha is not None or ALPHA in ramps_of(config.ramp)
    return config if is_given else replace(config, alpha=method.alpha)


def _labels(config: Settled, data: ImageData) -> LabelLoss:
    return LabelLoss(config.label_smoothing, weigh_classes(config, data))


def _files(config: Distill) -> dict[str, Any]:
    """Files of the user's that the run depends on, with their hashes."""
    found: dict[str, Any] = {}
    if is_own_method(config.method):
        found["method"] = {"file": config.method, "sha256": method_sum(config.method)}
    if config.student_weights is not None:
        found["student"] = {"file": str(config.student_weights), "sha256": file_sum(config.student_weights)}
    return found


def _find(config: Distill, method: Method) -> Found | None:
    """The one teacher to be asked; None where caches, peers, several teachers or none take its place."""
    if config.cache or config.peers or not method.asks_teacher or teachers_named(config):
        return None
    return find_teacher(config)


def _made_name(config: Distill, method: Method, found: Found | None) -> str:
    """Made of the student, the teacher's run (or file; or the method, where no teacher is asked) and the data.

    The data is what the teacher's name mostly says already.
    """
    student = slug(config.student)
    if config.peers:
        return f"{student}-with-{slug('-'.join(map(slug, config.peers)))}-{data_name(config.data)}"
    if not method.asks_teacher:
        return f"{student}-{slug(config.method)}-{data_name(config.data)}"
    if config.cache:
        plans = [open_cache(folder).plan for folder in caches_of(config)]
        data = plans[0].data["name"]
        teachers = "-".join(slug(plan.teacher["name"]).removesuffix(f"-{data}") for plan in plans)
        return f"{student}-from-{_of_data(teachers, data)}"
    if named := teachers_named(config):
        return f"{student}-from-{'-'.join(slug(name) for name, _ in named)}"
    if found is None or isinstance(found, str):
        return f"{student}-from-{_of_data(slug(str(found)), data_name(config.data))}"
    if isinstance(found, Path) and not Run(found.parent).is_there:
        return f"{student}-from-{file_name(found, data_name(config.data))}"
    run = Run(found.parent) if isinstance(found, Path) else found
    return f"{student}-from-{_of_data(run.path.absolute().name, run.manifest()['data']['name'])}"


def _of_data(name: str, data: str) -> str:
    return name if f"-{data}-" in f"-{name}-" else f"{name}-{data}"
