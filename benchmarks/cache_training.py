"""The teacher's pass against a bare forward loop, and steps of distilling from its cache against plain training steps.

Both comparisons are in one number format and take turns in one process.
"""

import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from record import options, publish, ratio
from turns import in_turns, timed

from edgekd.cache.plan import read_plan
from edgekd.cache.store import LogitCache
from edgekd.compute.formats import Format
from edgekd.config import CacheLogits, Data, Distill, TrainTeacher
from edgekd.data.loader import Batches, view_in_order
from edgekd.data.sources import open_data
from edgekd.data.view_options import settle_views, view_recipe
from edgekd.images.imageset import ImageData
from edgekd.methods.loading import load_method
from edgekd.models.build import build
from edgekd.models.defaults import recipe_for
from edgekd.objectives.distillation import Distillation
from edgekd.objectives.objective import Objective
from edgekd.objectives.supervised import Supervised
from edgekd.recipes import train_teacher
from edgekd.report import Progress, Silent
from edgekd.runs import Run
from edgekd.teachers.cache_pass import Filled, fill
from edgekd.teachers.source import KnownTeacher, from_run
from edgekd.teachers.teacher import Cached
from edgekd.training.settings import format_of, settle, settle_format
from edgekd.training.update import LayerRate, Update, make_optimizer


class Stopwatch(Silent):
    """A Reporter that keeps the seconds of the teacher's stage, the one whose units are images."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    @contextmanager
    def stage(self, title: str, total: int | None = None, unit: str = "") -> Iterator[Progress]:
        """Time a stage."""
        with super().stage(title, total, unit) as progress:
            started = time.perf_counter()
            yield progress
            if title == "teacher":
                self.seconds = time.perf_counter() - started


def make_teacher(name: str, data: str, folder: Path) -> KnownTeacher:
    """A run of the network after two steps: its speed does not depend on what it knows."""
    config = TrainTeacher(model=name, data=data, steps=2, limit=1000, runs=folder, name="teacher")
    train_teacher.run(config, Silent())
    return from_run(Run(folder / "teacher"))


def fill_once(teacher: KnownTeacher, data: ImageData, form: Format, options: dict[str, Any]) -> float:
    """Make a cache of one view anew; the seconds of the teacher's pass with reading, writing and syncing."""
    with tempfile.TemporaryDirectory(dir=options["caches"]) as folder:
        watch = Stopwatch()
        fixed = {"precision": form.precision, "memory_format": form.memory_format, "caches": Path(folder)}
        fill(teacher, data, CacheLogits(views=1, store="fp16", **options | fixed), watch)
    return watch.seconds


def bare_passes(teacher: KnownTeacher, data: ImageData, form: Format, batch_size: int) -> Iterator[None]:
    """Forward passes over views that lie ready in memory, one item per pass over all images."""
    network = teacher.network().eval()
    form.prepare(network)
    recipe = view_recipe(settle_views(CacheLogits(), {}))
    rows = range(len(data.everything))
    ready = [each.canvas for each in view_in_order(data.everything, recipe, 0, batch_size, rows)]
    while True:
        with torch.inference_mode(), form.autocast(torch.device("cpu")):
            found = [network(canvas).float() for canvas in ready]
        del found
        yield


def compare_pass(
    teacher: KnownTeacher, data: ImageData, filled: Filled, rounds: int, options: dict[str, Any]
) -> dict[str, Any]:
    """Both ways over all images, taking turns, in the format of the cache made before."""
    plan = read_plan(filled.folder)
    form = Format(plan.compute["precision"], plan.compute["memory_format"])
    bare = bare_passes(teacher, data, form, plan.batch_size)
    timed(bare, 1)
    times = in_turns(rounds, lambda: timed(bare, 1), lambda: fill_once(teacher, data, form, options))
    count = len(data.everything)
    return {
        "teacher": f"{teacher.spec.name}, {data.canvas} px, {form.precision} {form.memory_format}",
        "bare loop, images/s": f"{count / median(times[0]):,.0f}",
        "edgekd cache-logits, images/s": f"{count / median(times[1]):,.0f}",
        "edgekd / bare [95 %]": ratio(times[0], times[1]),
        "rounds": rounds,
    }


def steps(objective: Objective, config: Distill, filled: Filled, views: int | None) -> Iterator[None]:
    """Endless steps of edgekd's own loop over the training images, without keeper and display."""
    form = format_of(config)
    form.prepare(objective)
    parameters = list(objective.primary.parameters())
    update = Update(objective, make_optimizer(config, [LayerRate(parameters, 1.0)]), config, form)
    batches = Batches(filled.data.train, view_recipe(config), config.batch_size or 1, 0, views)
    for batch in batches.starting_at(0):
        update(batch, 0.3)
        yield


def compare_steps(name: str, filled: Filled, cache: LogitCache, rounds: int, seconds: float) -> dict[str, Any]:
    """Chunks of steps of both trainings of the same student, taking turns."""
    data = filled.data
    config = settle(settle_views(Distill(), cache.plan.views), recipe_for(name), len(data.train))
    torch.manual_seed(0)
    plain = Supervised(build(name, data))
    batch = next(Batches(data.train, view_recipe(config), config.batch_size or 1, 0).starting_at(0))
    config = settle_format(config, plain, batch, Silent())
    method = load_method("kd", (), {"temperature": 4.0})
    torch.manual_seed(0)
    taught = Distillation(build(name, data), Cached(cache), method)
    loops = (steps(plain, config, filled, None), steps(taught, config, filled, cache.views))
    count = max(2, math.ceil(seconds / max(timed(loop, 3) for loop in loops)))
    times = in_turns(rounds, *(partial(timed, loop, count) for loop in loops))
    return {
        "student": f"{name}, {config.precision} {config.memory_format}, batch {config.batch_size}",
        "plain training, ms a step": f"{median(times[0]) * 1000:.1f}",
        "from the cache, ms a step": f"{median(times[1]) * 1000:.1f}",
        "plain / from the cache [95 %]": ratio(times[0], times[1]),
        "rounds": rounds,
    }


def main() -> None:
    """Measure and publish."""
    parser = options(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each training in each round")
    parser.add_argument("--images", type=int, help="fewer than all")
    parser.add_argument("--data", default="shapes")
    parser.add_argument("--teacher", default="resnet9")
    parser.add_argument("--students", default="tiny-cnn,resnet8,custom-student")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    data = open_data(Data(data=asked.data, limit=asked.images), Silent())
    with tempfile.TemporaryDirectory() as folder:
        teacher = make_teacher(asked.teacher, asked.data, Path(folder) / "runs")
        caches = Path(folder) / "caches"
        caches.mkdir()
        shared: dict[str, Any] = {"caches": caches, "threads": asked.threads}
        filled = fill(teacher, data, CacheLogits(views=4, **shared), Silent())
        if filled.cache is None:
            raise SystemExit("the cache is not whole")
        one = compare_pass(teacher, data, filled, asked.rounds, shared)
        found = [
            compare_steps(name, filled, filled.cache, asked.rounds, asked.seconds) for name in asked.students.split(",")
        ]
    about = (
        f"One view of {len(data.everything):,} images in the format edgekd chose. The bare loop only calls the "
        "network, on batches of views that lie ready in memory; edgekd's pass also renders the views, stores the "
        "logits as fp16 and syncs the disk."
    )
    publish("cache-pass", "The teacher's pass", about, [one], asked.threads, is_trial=asked.trial)
    about = "Training steps of edgekd's loop on the same images in the same format; at 1 the teacher costs nothing."
    publish("cache-steps", "Distilling from the cache", about, found, asked.threads, is_trial=asked.trial)


if __name__ == "__main__":
    main()
