"""What a step of every method costs beside a plain training step: the same student, images and views, taking turns.

Processor time of the whole process on one thread, so other work on the machine counts little. Teachers are read from
caches that edgekd writes for each method; what a live teacher costs is its own forward pass, and not told here.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from record import options, publish, ratio
from turns import in_turns

from edgekd.compute.formats import Format
from edgekd.config import Distill, TrainTeacher
from edgekd.data.loader import Batches
from edgekd.data.view_options import view_recipe
from edgekd.methods import METHODS
from edgekd.methods.loading import join
from edgekd.methods.sides import side_of
from edgekd.models.build import build
from edgekd.models.defaults import recipe_for
from edgekd.models.trained import build_student
from edgekd.objectives.distillation import Distillation
from edgekd.objectives.objective import Objective
from edgekd.objectives.supervised import Supervised
from edgekd.recipes import train_teacher
from edgekd.report import Silent
from edgekd.runs import Run
from edgekd.teachers.preparation import Taught, make_ready
from edgekd.teachers.wanted import method_of, samples_in
from edgekd.training.settings import Settled, settle
from edgekd.training.update import LayerRate, Update, make_optimizer

FORM = Format("fp32", "channels-last")
IMAGES, VIEWS = 2_000, 2


@dataclass(frozen=True)
class Lesson:
    """A method joined to its student and teacher, with all that its steps need."""

    objective: Objective
    taught: Taught
    settled: Settled


def lesson_of(name: str, student: str, place: Path) -> Lesson:
    """What `edgekd distill` would train, its cache written where it is missing."""
    config = Distill(
        student=student,
        method=name,
        teacher="teacher" if METHODS[name].teacher else None,
        data="shapes",
        limit=IMAGES,
        views=VIEWS if METHODS[name].teacher else None,
        threads=1,
        precision=FORM.precision,
        memory_format=FORM.memory_format,
        runs=place / "runs",
        caches=place / "caches",
    )
    method = method_of(config)
    taught = make_ready(config, method, Run(place / "runs" / "student"), Silent())
    network = build_student(taught.config, taught.data, Silent())
    settled = settle(taught.config, recipe_for(network.spec.name), len(taught.data.train))
    join(name, method, side_of(network, samples_in(taught.data)), taught.teacher.side)
    return Lesson(Distillation(network, taught.teacher, method), taught, settled)


def steps(objective: Objective, lesson: Lesson) -> Iterator[None]:
    """Endless steps of edgekd's own loop, without keeper and display."""
    FORM.prepare(objective)
    settled = lesson.settled
    layers = [LayerRate(list(objective.parameters()), 1.0)]
    update = Update(objective, make_optimizer(settled, layers), settled, FORM)
    recipe = view_recipe(settled)
    strong = recipe.strengthened() if objective.has_strong_view else None
    taught = lesson.taught
    batches = Batches(taught.data.train, recipe, settled.batch_size, 0, taught.views, strong=strong)
    for batch in batches.starting_at(0):
        update(batch, 0.5)
        yield


def counted(endless: Iterator[None], count: int) -> float:
    """Processor seconds per step of the next `count`."""
    before = time.process_time()
    for _ in range(count):
        next(endless)
    return (time.process_time() - before) / count


def row_of(name: str, asked: Any, place: Path) -> dict[str, Any]:  # noqa: ANN401
    """One method against plain steps of the same student."""
    lesson = lesson_of(name, asked.student, place)
    plain = Supervised(build(asked.student, lesson.taught.data))
    loops = steps(plain, lesson), steps(lesson.objective, lesson)
    for each in loops:
        counted(each, 3)
    times = in_turns(asked.rounds, *(partial(counted, each, asked.steps) for each in loops))
    own = sum(each.numel() for each in lesson.objective.parameters()) - sum(each.numel() for each in plain.parameters())
    found = {
        "method": f"`{name}`",
        "plain, ms": f"{median(times[0]) * 1000:.1f}",
        "method, ms": f"{median(times[1]) * 1000:.1f}",
        "method / plain [95 %]": ratio(times[1], times[0]),
        "own parameters": f"{own:,}",
    }
    print(found, flush=True)
    return found


def main() -> None:
    """Measure and publish."""
    parser = options(__doc__)
    parser.add_argument("--student", default="tiny-cnn")
    parser.add_argument("--teacher", default="resnet8")
    parser.add_argument(
        "--methods", default=",".join(name for name, row in METHODS.items() if "token" not in row.student)
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="of each loop in each round")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        config = TrainTeacher(
            model=asked.teacher, data="shapes", limit=IMAGES, steps=2, threads=1, runs=place / "runs", name="teacher"
        )
        train_teacher.run(config, Silent())
        rows = [row_of(name, asked, place) for name in asked.methods.split(",")]
    about = (
        f"{asked.student} taught by {asked.teacher} from caches of {IMAGES:,} images, fp32, channels-last, one thread, "
        f"batches of the student's recipe; {asked.rounds} rounds of {asked.steps} steps, processor time. `mlkd` and "
        "`crld` show every image twice; `crd` has as many negatives as there are images here; `deit-soft` and "
        "`deit-hard` need a transformer and are left out."
    )
    publish("method_overhead", "What a step of each method costs", about, rows, 1, is_trial=asked.trial)


if __name__ == "__main__":
    main()
