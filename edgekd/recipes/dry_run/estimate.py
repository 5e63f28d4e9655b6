"""`edgekd distill --dry-run`: what a distillation would take, cached and live, measured on a few steps of each."""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from edgekd.cache.plan import CachePlan
from edgekd.cache.rows import row_bytes
from edgekd.compute.allocator import peak_rss_mb
from edgekd.compute.formats import Format, device_of
from edgekd.config import Distill, Profile
from edgekd.errors import CacheError
from edgekd.exporting.latency import measure_untrained
from edgekd.methods.contract import Method
from edgekd.models.cost import measure
from edgekd.models.defaults import recipe_for
from edgekd.models.network import Spec
from edgekd.models.trained import build_student
from edgekd.profiling.device.conditions import explain, read_conditions
from edgekd.profiling.device.profiles import find_device
from edgekd.recipes.dry_run.cost import Forecast, tables_of, verdict
from edgekd.recipes.dry_run.device_limits import broken, judge_untrained, limits_line, limits_table
from edgekd.recipes.dry_run.starting_point import Scene, find_scene
from edgekd.recipes.dry_run.timing import StudentPace, TeacherPace, rehearse_student, rehearse_teacher
from edgekd.report import Reporter, Result, Silent
from edgekd.runs import Run
from edgekd.runtimes.onnx_file import read_model
from edgekd.teachers.cache_planning import affordable_views, check_room
from edgekd.teachers.resolve import Found
from edgekd.teachers.source import KnownTeacher
from edgekd.training.mirrored import tell_turned
from edgekd.training.settings import Settled, settle, total_steps

BATCH = 100
DENSE = ("fp16", "u8", "fp32")


@dataclass(frozen=True)
class Estimate:
    """All that was found and timed; `config` is settled, `peaks` are peak resident MB of this process.

    `plan` and `views` are the cache's, `rows` those still to be asked of the teacher.
    """

    scene: Scene
    config: Settled
    student: StudentPace
    teacher: TeacherPace | None
    peaks: dict[str, float]
    plan: CachePlan
    views: int
    rows: int


def dry_run(config: Distill, method: Method, place: Run, teacher: Found | None, report: Reporter) -> Result:
    """Find what `distill` would start from, time a few steps, and tell; no run and no cache is written.

    `teacher` is the one found; None: the caches named.

    `Result.failure` is CheckFailed when the student breaks a limit of `--device` already.
    """
    if config.device:
        find_device(config.device)
    scene = find_scene(config, method, place, teacher, report)
    conditions = read_conditions()
    for words in explain(conditions, conditions):
        report.warn(words)
    torch.manual_seed(config.seed)
    student = build_student(scene.config, scene.data, report)
    settled = settle(scene.config, recipe_for(student.spec.name), len(scene.data.train))
    settled, student_pace = rehearse_student(student, scene, settled, method, report)
    peaks = {"student": peak_rss_mb()}
    teacher_pace = rehearse_teacher(scene, settled, report)
    peaks["with_teacher"] = peak_rss_mb()
    if settled.flip == "on":
        _tell_turned(scene, report)
    found = Estimate(scene, settled, student_pace, teacher_pace, peaks, *_cache(scene, teacher_pace))
    forecast = _forecast(found)
    facts = _facts(found, forecast, report)
    facts["student"] = _size(student.spec)
    tables, lines = tables_of(facts), [verdict(forecast)]
    if not config.device:
        return Result(facts, tables, lines)
    # Built anew: the steps have moved its weights, and numbers near 0 may take the processor longer.
    untrained = build_student(scene.config, scene.data, Silent())
    surveyed = measure_untrained(untrained, Profile(device=config.device), report)
    judged = judge_untrained(surveyed, forecast.epochs * forecast.cached_epoch_seconds)
    lines += [judged["statement"], limits_line(judged)]
    return Result(facts | {"device": judged}, [*tables, limits_table(judged)], lines, broken(judged, student.spec.name))


def _tell_turned(scene: Scene, report: Reporter) -> None:
    """Warn where the teacher, as far as its weights are here, takes mirrored validation images for another class."""
    teacher = scene.teacher
    if teacher is None or not (teacher.place.is_file() or (teacher.run and teacher.run.weights.is_file())):
        return
    network = teacher.network(scene.config).to(device_of(scene.config))
    form = Format("fp32", teacher.layout)
    form.prepare(network)
    tell_turned(network, scene.data, BATCH, form, report)


def _cache(scene: Scene, pace: TeacherPace | None) -> tuple[CachePlan, int, int]:
    """Plan, views and missing rows of the cache there is, or of the one there would be."""
    if scene.cache is not None:
        return scene.cache.plan, scene.cache.views, scene.cache.rows_left
    if pace is None:
        raise CacheError(f"{scene.folder}: neither a cache nor a teacher", "give --teacher or --cache")
    images, config = len(scene.data.everything), scene.config
    views = config.views or affordable_views(pace.plan, pace.filling, images, scene.folder, config.epochs)
    return pace.plan, views, views * images


def _steps_per_epoch(found: Estimate) -> int:
    return max(1, len(found.scene.data.train) // found.config.batch_size)


def _forecast(found: Estimate) -> Forecast:
    data, pace, teacher = found.scene.data, found.student, found.teacher
    steps = _steps_per_epoch(found)
    images, validation = steps * found.config.batch_size, len(data.val) * pace.validation
    return Forecast(
        epochs=total_steps(found.config, steps) / steps,
        plain_epoch_seconds=images * pace.plain + validation,
        cached_epoch_seconds=images * pace.cached + validation,
        live_epoch_seconds=images * (pace.cached + teacher.live) + validation if teacher else None,
        pass_seconds=len(data.everything) * teacher.filling if teacher else None,
        filling_seconds=found.rows * teacher.filling if teacher else 0.0,
    )


def _facts(found: Estimate, forecast: Forecast, report: Reporter) -> dict[str, Any]:
    scene, config = found.scene, found.config
    images, side, _, channels = scene.data.everything.pixels.shape
    return {
        "teacher": None if scene.teacher is None else _teacher_size(scene.teacher),
        "missing": scene.missing,
        "data": scene.data.name,
        "images": len(scene.data.train),
        "images_in_a_view": len(scene.data.everything),
        "steps_per_epoch": _steps_per_epoch(found),
        "batch_size": config.batch_size,
        "threads": config.threads,
        "format": f"{config.precision} {config.memory_format}",
        "forecast": asdict(forecast)
        | {
            "cached_seconds": forecast.cached_seconds,
            "live_seconds": forecast.live_seconds,
            "plain_seconds": forecast.epochs * forecast.plain_epoch_seconds,
            "break_even_epoch": forecast.break_even_epoch,
        },
        "cache": _cache_facts(found, report),
        "peak_rss_mb": found.peaks,
        "canvases_mb": images * side * side * channels / 1e6,
        "device": None,
    }


def _teacher_size(teacher: KnownTeacher) -> dict[str, Any]:
    if teacher.run is not None:
        return _size(teacher.spec)
    file = read_model(teacher.place)
    return {"model": teacher.spec.name, "params": file.params, "macs": file.macs}


def _size(spec: Spec) -> dict[str, Any]:
    cost = measure(spec)
    return {"model": spec.name, "params": cost.parameters, "macs": cost.macs}


def _cache_facts(found: Estimate, report: Reporter) -> dict[str, Any]:
    scene, plan = found.scene, found.plan
    rows = found.views * len(scene.data.everything)
    sizes = {store: row_bytes(store, plan.classes, 0, plan.extras) * rows for store in DENSE}
    place = next(each for each in (scene.folder, *scene.folder.absolute().parents) if each.exists())
    return {
        "folder": str(scene.folder),
        "is_there": scene.cache is not None and found.rows == 0,
        "views": found.views,
        "rows_left": found.rows,
        "store": plan.store,
        "size_bytes": sizes | {plan.store: plan.row_bytes * rows},
        "free_bytes": shutil.disk_usage(place).free,
        "fits": _fits(scene.folder, plan, found.rows, report),
    }


def _fits(folder: Path, plan: CachePlan, rows: int, report: Reporter) -> bool:
    try:
        if rows:
            check_room(folder, plan, rows)
    except CacheError as error:
        report.warn(f"{error.problem}; {error.hint}")
        return False
    return True
