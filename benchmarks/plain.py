"""Training steps of edgekd against a plain in-memory PyTorch loop, interleaved.

The plain loop is the fair floor: uint8 images in memory, crop and flip vectorised, fp32, contiguous layout,
foreach-less SGD as written in any tutorial. Both see the same images, batch size and network.
"""

import math
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from record import options, publish, ratio

from edgekd.config import Data, TrainTeacher
from edgekd.data.loader import Batches
from edgekd.images.imageset import ImageData
from edgekd.images.sources import open_images
from edgekd.models.build import build
from edgekd.models.defaults import recipe_for
from edgekd.objectives import Supervised
from edgekd.report import Silent
from edgekd.training.settings import format_of, settle, settle_format, view_recipe
from edgekd.training.update import LayerRate, Update, make_optimizer

BATCH = 100


def plain_steps(name: str, data: ImageData) -> Iterator[None]:
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


def edgekd_steps(name: str, data: ImageData) -> Iterator[None]:
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


def compare(name: str, data: ImageData, rounds: int, seconds: float) -> dict[str, Any]:
    """Interleaved rounds of about `seconds` each; who goes first alternates."""
    plain, own = plain_steps(name, data), edgekd_steps(name, data)
    count = max(2, math.ceil(seconds / max(timed(plain, 3), timed(own, 3))))
    times: dict[int, list[float]] = {0: [], 1: []}
    for turn in range(rounds):
        for which in (turn % 2, 1 - turn % 2):
            times[which].append(timed((plain, own)[which], count))
    return {
        "model": name,
        f"plain, ms per step of {BATCH}": f"{median(times[0]) * 1000:.1f}",
        "edgekd, ms": f"{median(times[1]) * 1000:.1f}",
        "plain / edgekd [95 %]": ratio(times[0], times[1]),
        "rounds": rounds,
    }


def main() -> None:
    """Measure and publish."""
    parser = options(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each loop in each round")
    parser.add_argument("--models", default="custom-student,custom-teacher-6,resnet8,resnet9,tiny-cnn")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    data = open_images(Data(data="shapes"), Silent())
    rows = [compare(name, data, asked.rounds, asked.seconds) for name in asked.models.split(",")]
    about = (
        "The plain loop holds uint8 images in memory and crops and flips whole batches, in fp32 and PyTorch's default "
        "layout; edgekd in the format its own trial chose, preparing each batch while the one before it trains."
    )
    publish("plain", "Training steps against a plain PyTorch loop", about, rows, asked.threads, is_trial=asked.trial)


if __name__ == "__main__":
    main()
