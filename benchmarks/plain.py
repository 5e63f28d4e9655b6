"""Training steps of edgekd against a plain in-memory PyTorch loop, interleaved, as ratios with 95 % intervals.

The plain loop is the fair floor: uint8 images in memory, crop and flip vectorised, fp32, contiguous layout,
foreach-less SGD as written in any tutorial. Both see the same images, batch size and network.
Usage: python benchmarks/plain.py [--threads 2] [--rounds 9] [--models tiny-cnn,resnet9,...]
"""

import argparse
import json
import math
import platform
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F

from edgekd.config import Data, TrainTeacher
from edgekd.data.loader import Batches
from edgekd.images.sources import open_images
from edgekd.models.build import build
from edgekd.models.defaults import recipe_for
from edgekd.objectives import Supervised
from edgekd.report import Silent
from edgekd.training.settings import format_of, settle, settle_format, view_recipe
from edgekd.training.update import LayerRate, Update, make_optimizer

BATCH = 100
STUDENT_T_95 = {4: 2.776, 6: 2.447, 8: 2.306, 10: 2.228, 14: 2.145}
"""Two-sided 95 % points of Student's t, by degrees of freedom."""


def plain_steps(name: str, data: object) -> Iterator[None]:
    """A tutorial's loop, one step per item."""
    torch.manual_seed(0)
    network = build(name, data)
    network.is_channels_last = False
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    images = torch.from_numpy(data.train.pixels.gather(data.train.index))
    padded = F.pad(images.permute(0, 3, 1, 2).float(), (4, 4, 4, 4), mode="reflect").to(torch.uint8)
    targets = torch.from_numpy(data.train.targets)
    while True:
        for rows in torch.randperm(len(targets))[: len(targets) // BATCH * BATCH].split(BATCH):
            down, right = torch.randint(0, 9, (2,)).tolist()
            batch = padded[rows][:, :, down : down + 32, right : right + 32]
            flipped = torch.where((torch.rand(BATCH) < 0.5)[:, None, None, None], batch.flip(3), batch)
            loss = F.cross_entropy(network(flipped.permute(0, 2, 3, 1).contiguous()), targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield


def edgekd_steps(name: str, data: object) -> Iterator[None]:
    """The steps of edgekd's own loop, without keeper and display."""
    torch.manual_seed(0)
    network = build(name, data)
    config = settle(TrainTeacher(batch_size=BATCH, optimizer="sgd", lr=0.05), recipe_for(name), len(data.train))
    objective = Supervised(network)
    batches = Batches(data.train, view_recipe(config), BATCH, 0)
    config = settle_format(config, objective, next(batches.starting_at(0)), Silent())
    form = format_of(config)
    form.apply(objective)
    update = Update(objective, make_optimizer(config, [LayerRate(list(network.parameters()), 1.0)]), config, form)
    for batch in batches.starting_at(0):
        update(batch, 0.3)
        yield


def timed(steps: Iterator[None], count: int) -> float:
    """Seconds per step of the next `count`."""
    started = time.perf_counter()
    for _ in range(count):
        next(steps)
    return (time.perf_counter() - started) / count


def compare(name: str, data: object, rounds: int) -> dict[str, object]:
    """Interleaved rounds of about two seconds each; the ratio's interval is over rounds, on the logarithm."""
    loops: list[Callable[[str, object], Iterator[None]]] = [plain_steps, edgekd_steps]
    plain, ours = (loop(name, data) for loop in loops)
    warm = max(timed(plain, 3), timed(ours, 3))
    count = max(2, math.ceil(2.0 / warm))
    pairs = [(timed(plain, count), timed(ours, count)) for _ in range(rounds)]
    logs = [math.log(slow / fast) for slow, fast in pairs]
    half = STUDENT_T_95.get(rounds - 1, 2.0) * statistics.stdev(logs) / math.sqrt(rounds)
    mean = statistics.mean(logs)
    return {
        "model": name,
        "plain_ms": statistics.median(pair[0] for pair in pairs) * 1000,
        "edgekd_ms": statistics.median(pair[1] for pair in pairs) * 1000,
        "ratio": math.exp(mean),
        "interval": [math.exp(mean - half), math.exp(mean + half)],
    }


def main() -> None:
    """Print a Markdown table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--models", default="custom-student,custom-teacher-6,resnet8,resnet9,tiny-cnn")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    data = open_images(Data(data="shapes"), Silent())
    rows = [compare(name, data, asked.rounds) for name in asked.models.split(",")]
    print("| model | plain, ms per step of 100 | edgekd | ratio [95 %] |\n|---|---|---|---|")
    for row in rows:
        low, high = row["interval"]
        times = f"{row['plain_ms']:.0f} | {row['edgekd_ms']:.0f}"
        print(f"| {row['model']} | {times} | {row['ratio']:.2f} [{low:.2f}, {high:.2f}] |")
    machine = {"cpu": platform.processor() or platform.machine(), "threads": asked.threads, "rounds": asked.rounds}
    print(json.dumps({"machine": machine | {"torch": torch.__version__, "numpy": np.__version__}, "rows": rows}))


if __name__ == "__main__":
    main()
