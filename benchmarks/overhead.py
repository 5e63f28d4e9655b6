"""What edgekd's loop costs beside the operations it loops over: processor time of `fit` with its display, checkpoints
and signals, against a bare loop that makes the same batches and takes the same steps.
"""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from record import options, publish, ratio
from rich.console import Console as RichConsole
from turns import in_turns

from edgekd.cli.console import Console
from edgekd.compute.evaluate import evaluate
from edgekd.compute.formats import Format, device_of
from edgekd.config import Data, TrainTeacher
from edgekd.data.loader import Batches
from edgekd.data.view_options import view_recipe
from edgekd.images.imageset import ImageData
from edgekd.images.sources import open_images
from edgekd.models.build import build
from edgekd.models.defaults import recipe_for
from edgekd.objectives.supervised import Supervised
from edgekd.report import Silent
from edgekd.runs import Run
from edgekd.training.keeper import Keeper
from edgekd.training.loop import fit
from edgekd.training.schedule import one_cycle
from edgekd.training.settings import settle
from edgekd.training.update import LayerRate, Update, make_optimizer

FORM = Format()


def counted(work: Callable[[], None], steps: int) -> float:
    """Processor seconds per step, of all threads."""
    before = time.process_time()
    work()
    return (time.process_time() - before) / steps


def bare(name: str, data: ImageData, batches: Batches, config: TrainTeacher, steps: int) -> None:
    """The loop as anyone would write it."""
    network = build(name, data)
    FORM.prepare(network)
    objective = Supervised(network)
    optimizer = make_optimizer(config, [LayerRate(list(network.parameters()), 1.0)])
    for step, batch in zip(range(steps), batches.starting_at(0), strict=False):
        objective.train()
        for group in optimizer.param_groups:
            group["lr"] = (config.lr or 0.0) * one_cycle(step / steps, config.warmup)
        loss = objective(batch, step / steps)["ce"].value
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % batches.steps_per_epoch == 0 or step + 1 == steps:
            evaluate(network, data.val, batches.batch_size, FORM)


def kept(name: str, data: ImageData, batches: Batches, config: TrainTeacher, steps: int) -> None:
    """edgekd's loop with keeper and a progress bar, drawn for a terminal that nobody looks at."""
    network = build(name, data)
    FORM.prepare(network)
    update = Update(
        Supervised(network), make_optimizer(config, [LayerRate(list(network.parameters()), 1.0)]), config, FORM
    )
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nobody:
        console = Console()
        console.err = RichConsole(file=nobody, force_terminal=True, width=120)
        keeper = Keeper(Run(Path(folder, "run")), update, data.val, config, batches.steps_per_epoch)
        keeper.report = console
        fit(batches, update, keeper, steps)


def compare(name: str, data: ImageData, steps: int, rounds: int) -> dict[str, Any]:
    """Interleaved rounds of so many steps."""
    config = settle(TrainTeacher(threads=torch.get_num_threads()), recipe_for(name), len(data.train))
    device_of(config)
    batches = Batches(data.train, view_recipe(config), config.batch_size or 1, 0)
    config = replace(config, precision="fp32", memory_format="channels-last")
    runs = [partial(loop, name, data, batches, config, steps) for loop in (bare, kept)]
    for run in runs:
        run()
    times = in_turns(rounds, *(partial(counted, run, steps) for run in runs))
    return {
        "model": name,
        "batch": config.batch_size,
        "bare, CPU ms per step": f"{median(times[0]) * 1000:.2f}",
        "fit, CPU ms per step": f"{median(times[1]) * 1000:.2f}",
        "fit / bare [95 %]": ratio(times[1], times[0]),
        "rounds": rounds,
    }


def main() -> None:
    """Measure and publish."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=170, help="of each loop in each round")
    parser.add_argument("--models", default="tiny-cnn,custom-student")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    data = open_images(Data(data="shapes"), Silent())
    rows = [compare(name, data, asked.steps, asked.rounds) for name in asked.models.split(",")]
    about = (
        "Processor time of the whole process, one thread. Both loops make the same views, take the same steps and "
        "validate after each epoch; fit also shows progress, watches for signals, notes metrics and saves the best "
        "weights and its state. Below 1.03 is the aim."
    )
    publish("overhead", "The loop's own cost", about, rows, 1, is_trial=asked.trial)


if __name__ == "__main__":
    main()
