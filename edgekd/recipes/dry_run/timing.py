"""A few real steps of what a distillation would do, timed: the student's, and the teacher's passes."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from itertools import repeat
from statistics import median

import numpy as np
import torch
from torch import Tensor

from edgekd.cache.columns import decode, encode
from edgekd.cache.plan import CachePlan
from edgekd.cache.rows import default_store
from edgekd.compute.formats import Format, device_of, trial_batch
from edgekd.config import CacheLogits, Distill
from edgekd.data.batch import Batch
from edgekd.data.loader import Batches, in_order, view_in_order
from edgekd.data.view_options import settle_views, view_recipe
from edgekd.methods.contract import Method, Side
from edgekd.methods.labels import LabelLoss
from edgekd.methods.loading import join
from edgekd.methods.sides import side_of
from edgekd.models.network import Network
from edgekd.models.outputs import FEATURES, HEADS, LOGITS, POOLED, PREFIX, TOPK_LOGITS, Output, single
from edgekd.objectives.distillation import Distillation
from edgekd.objectives.objective import Objective
from edgekd.objectives.supervised import Supervised
from edgekd.recipes.dry_run.starting_point import Scene
from edgekd.report import Reporter
from edgekd.teachers.cache_planning import TOPK, new_plan
from edgekd.teachers.source import KnownTeacher
from edgekd.teachers.wanted import is_content_with_logits, samples_in
from edgekd.training.pace import measure_pace, settle_time
from edgekd.training.settings import Settled, format_of, settle_format, training_step
from edgekd.training.update import LayerRate, Update, make_optimizer

WARM_UP = 2
"""Steps that are not counted."""
STEPS = 12
SECONDS = 4.0
"""After so long one counted step is enough."""


class StandInTeacher:
    """Made-up answers, stored and decoded as a cache's are: what they say does not change the time."""

    def __init__(self, side: Side, store: str, topk: int, rows: int, needs: Collection[str] = ()) -> None:
        self.made_of = store, topk, rows
        self.side = replace(side, gives=side.gives - {LOGITS} | {TOPK_LOGITS if topk else LOGITS})
        self.columns = encode(torch.randn(rows, side.classes), torch.zeros(rows, dtype=torch.int64), store, topk)
        named = sorted(single(needs) & set(side.shapes))
        self.extras = {name: torch.randn(rows, *side.shapes[name]).half() for name in named}

    def giving(self, needs: Collection[str]) -> "StandInTeacher":
        """The same with these outputs."""
        return StandInTeacher(self.side, *self.made_of, needs)

    def __call__(self, batch: Batch) -> Output:
        """Logits [batch, classes], features and heads for up to `rows` images."""
        columns = {name: value[: len(batch)] for name, value in self.columns.items()}
        logits = decode(columns, self.made_of[0], self.side.classes).to(batch.canvas.device)
        extras = {name: value[: len(batch)].float().to(logits.device) for name, value in self.extras.items()}
        heads, features, prefixes = (
            {name.removeprefix(kind): value for name, value in extras.items() if name.startswith(kind)}
            for kind in (HEADS, FEATURES, PREFIX)
        )
        return Output(logits, heads, extras.get(POOLED), features, prefixes=prefixes)


@dataclass(frozen=True)
class StudentPace:
    """Seconds per image of a training step from a cache and on labels alone, and of validation."""

    cached: float
    plain: float
    validation: float


@dataclass(frozen=True)
class TeacherPace:
    """What a cache of this teacher would be; seconds per image of filling it, and live beside a student's step."""

    plan: CachePlan
    filling: float
    live: float


def rehearse_student(
    student: Network, scene: Scene, config: Settled, method: Method, report: Reporter
) -> tuple[Settled, StudentPace]:
    """Time the student; also gives the settled `config` with its number format."""
    teacher = scene.stored or StandInTeacher(_side(scene, method), *store_of(scene), config.batch_size)
    join(scene.config.method, method, side_of(student, samples_in(scene.data)), teacher.side)
    smoothing = config.label_smoothing
    objective = Distillation(student, teacher, method, scene.config.alpha, LabelLoss(smoothing)).to(device_of(config))
    first = next(training_batches(scene, config)).pieces(config.accumulate)[0].to(student.offset.device)
    config = settle_format(config, objective, first, report)
    images = (len(scene.data.val), len(scene.data.test))
    pace_of_all = measure_pace(config, objective, first, _batches(scene, config), images)
    config = settle_time(config, pace_of_all, 0.0, report)
    cached = _training_pace(objective, scene, config)
    plain = _training_pace(Supervised(student, smoothing), scene, config)
    form, validation = format_of(config), in_order(scene.data.val, config.batch_size)
    return config, StudentPace(cached, plain, _forward_pace(student, form, validation))


def _side(scene: Scene, method: Method) -> Side:
    """What the teacher would give; its network is looked at only where the method wants more than logits."""
    network = None if is_content_with_logits(method) else scene.network()
    if network is None:
        return Side(len(scene.data.classes), frozenset({LOGITS}), samples=samples_in(scene.data))
    return side_of(network, samples_in(scene.data))


def store_of(scene: Scene) -> tuple[str, int]:
    """How logits are or would be stored, and how many of a row with topk."""
    if scene.cache is not None:
        return scene.cache.plan.store, scene.cache.plan.topk
    classes = len(scene.data.classes)
    store = scene.config.store or default_store(classes)
    return store, min(scene.config.topk or TOPK, classes) if store == "topk" else 0


def rehearse_teacher(scene: Scene, config: Settled, report: Reporter) -> TeacherPace | None:
    """Time the teacher: filling its cache as `cache-logits` does, and live as `--live` asks it; None without one."""
    network = scene.network()
    if network is None or scene.teacher is None:
        return None
    network = network.to(device_of(scene.config)).eval()
    plan = scene.cache.plan if scene.cache else _new_plan(scene, scene.teacher, network, report)
    everything, recipe = scene.data.everything, view_recipe(settle_views(scene.config, plan.views))
    rows = np.arange(len(everything))
    count = _count(network, next(view_in_order(everything, recipe, 1, plan.batch_size, rows)))
    form = Format(plan.compute["precision"], plan.compute["memory_format"])
    filling = _forward_pace(network, form, view_in_order(everything, recipe, 1, count, rows))
    first = next(training_batches(scene, config))
    device_of(config)
    own = Format(config.precision, scene.teacher.layout)
    live = _forward_pace(network, own, repeat(first.first(min(count, len(first)))))
    return TeacherPace(plan, filling, live)


def _new_plan(scene: Scene, teacher: KnownTeacher, network: Network, report: Reporter) -> CachePlan:
    shared = {each.name for each in fields(CacheLogits)} & {each.name for each in fields(Distill)}
    given = {name: getattr(scene.config, name) for name in shared - {"name", "overwrite", "batch_size"}}
    # Dense, since measuring the error of topk has the teacher look at thousands of images.
    options = CacheLogits(**given | {"store": "fp16", "topk": None})
    plan, _ = new_plan(teacher, scene.data, teacher.settle(options), network, report)
    store, topk = store_of(scene)
    return replace(plan, store=store, topk=topk)


def pace(step: Callable[[Batch], object], batches: Iterable[Batch]) -> float:
    """Median seconds per image of `step`, the making of the batches included; `step` must wait for its device."""
    times: list[float] = []
    started = before = time.perf_counter()
    for batch in batches:
        step(batch)
        now = time.perf_counter()
        times.append((now - before) / len(batch))
        before = now
        if len(times) >= WARM_UP + STEPS or (len(times) > WARM_UP and now - started > SECONDS):
            break
    return median(times[WARM_UP:] or times)


def training_batches(scene: Scene, config: Settled, batch_size: int | None = None) -> Iterator[Batch]:
    """Batches from the second epoch on: the first may show the plain view, which costs less."""
    batches = _batches(scene, config, batch_size)
    return batches.starting_at(batches.steps_per_epoch)


def _batches(scene: Scene, config: Settled, batch_size: int | None = None) -> Batches:
    views = scene.cache.views if scene.cache else None
    return Batches(scene.data.train, view_recipe(config), batch_size or config.batch_size, config.seed, views)


def _training_pace(objective: Objective, scene: Scene, config: Settled) -> float:
    """Seconds per image of training with settled options; the objective's weights move."""
    form = format_of(config)
    update = Update(objective, make_optimizer(config, [LayerRate(list(objective.parameters()), 1.0)]), config, form)

    first = next(training_batches(scene, config)).to(update.device)
    count = len(trial_batch(objective, first, training_step(objective)))
    form.prepare(objective)
    # at the learning rate and image size of the end: an upper limit where images grow on the way
    return pace(lambda batch: _wait(update(batch, 1.0)), training_batches(scene, config, count))


def _wait(parts: dict[str, Tensor]) -> list[float]:
    return [part.item() for part in parts.values()]


def _forward_pace(network: Network, form: Format, batches: Iterable[Batch]) -> float:
    device = network.offset.device
    form.prepare(network.eval())
    with torch.inference_mode(), form.autocast(device):
        return pace(lambda batch: network(batch.canvas.to(device)).float().cpu(), batches)


def _count(network: Network, first: Batch) -> int:
    """Images of a pass that takes about a second, at most the whole batch."""

    def forward(batch: Batch) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = network(batch.canvas.to(network.offset.device))
            return logits.float().mean()

    return len(trial_batch(network.eval(), first, forward))
