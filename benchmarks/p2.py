"""P2's pipeline (docs/p2.sh) against the plain loop: whole epochs of it on the same images, taken a hundred times.

The plain loop's hours leave out validation, the teacher's pass and what distilling costs beside a plain step; the
script's hold all of it, from the start of each command to its end.
"""

import time
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from plain import BATCH, plain_steps
from record import options, publish

from edgekd.config import Data
from edgekd.images.imageset import ImageData
from edgekd.images.sources import open_images
from edgekd.report import Silent

EPOCHS = 100
WARM_UP = 10
NETS = {"train-teacher": "custom-teacher-6", "cache-logits": None, "distill": "custom-student"}
"""The script's steps, and what of them a plain loop trains."""


def epoch_seconds(model: str, data: ImageData, epochs: int) -> list[float]:
    """Seconds of each of some epochs of the plain loop."""
    steps = plain_steps(model, data, "cpu")
    for _ in range(WARM_UP):
        next(steps)
    found = []
    for _ in range(epochs):
        started = time.perf_counter()
        for _ in range(len(data.train) // BATCH):
            next(steps)
        found.append(time.perf_counter() - started)
    return found


def _row(step: str, ours: float, plain: float, seconds: list[float]) -> dict[str, Any]:
    return {
        "step": step,
        "edgekd, hours": f"{ours / 3600:.2f}",
        "plain, seconds of an epoch": ", ".join(f"{each:.1f}" for each in seconds),
        f"plain, hours of {EPOCHS}": f"{plain / 3600:.2f}",
        "edgekd / plain": f"{ours / plain:.2f}" if plain else "",
    }


def main() -> None:
    """Measure and publish."""
    parser = options(__doc__)
    parser.add_argument("--data", required=True, help="the images that docs/p2.sh was given")
    parser.add_argument("--results", type=Path, required=True, help="the folder of docs/p2.sh's results")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    lines = [line.split(" s: ") for line in (asked.results / "seconds.txt").read_text().splitlines()]
    ours = {name: float(seconds) for seconds, name in lines}
    data = open_images(Data(data=asked.data), Silent())
    rows = []
    total = 0.0
    for step, model in NETS.items():
        seconds = epoch_seconds(model, data, asked.epochs) if model else []
        plain = mean(seconds) * EPOCHS if seconds else 0.0
        total += plain
        rows.append(_row(f"{step} {model or ''}", ours[step], plain, seconds))
    rows.append(_row("all", sum(ours.values()), total, []))
    about = (
        f"{len(data.train):,} training images of {data.name}, batches of {BATCH}, {EPOCHS} epochs of each network. "
        "edgekd: docs/p2.sh from start to end, validation, cache and test included. plain: whole epochs of the plain "
        "loop, a hundred times as long; nothing but its training steps. Below 1 is in edgekd's favour."
    )
    publish("p2", "P2's pipeline in full", about, rows, asked.threads, is_trial=asked.trial)


if __name__ == "__main__":
    main()
