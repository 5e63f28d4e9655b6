"""Cost against work: what a training step costs as images, classes, input size and parameters grow."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from plain import edgekd_steps
from record import options, publish
from turns import in_turns, timed

from edgekd.config import Data
from edgekd.images.imageset import ImageData
from edgekd.images.sources import open_images
from edgekd.models.build import build
from edgekd.models.cost import macs, parameters
from edgekd.report import Silent

STEPS = 6


def opened(side: int = 32, limit: int | None = None) -> ImageData:
    """`shapes` on this canvas."""
    return open_images(Data(data="shapes", canvas=side, limit=limit), Silent())


def with_classes(data: ImageData, count: int) -> ImageData:
    """The same images with so many class names; the labels stay among the first."""
    return data.__class__(**data.__dict__ | {"classes": tuple(f"c{number}" for number in range(count))})


def cases() -> Iterator[tuple[str, str, str, ImageData]]:
    """What grows, the value, the model and its data."""
    for limit in (1_000, 2_000, 4_000, 8_000):
        yield "images", f"{limit:,}", "tiny-cnn", opened(limit=limit)
    for count in (10, 100, 1_000, 10_000):
        yield "classes", f"{count:,}", "tiny-cnn", with_classes(opened(), count)
    for side in (16, 32, 64, 128):
        yield "input side", str(side), "resnet18", opened(side)
    for blocks in (4, 6, 8):
        yield "depth", str(blocks), f"custom-teacher-{blocks}", opened()
    for width in ("resnet18", "resnet34"):
        yield "depth of a timm net", width, width, opened()


def main() -> None:
    """Measure and publish."""
    parser = options(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    rows: list[dict[str, Any]] = []
    first: dict[str, tuple[float, int]] = {}
    for what, value, name, data in cases():
        network = build(name, data)
        loop = edgekd_steps(name, data, "cpu")
        timed(loop, 3)
        (times,) = in_turns(asked.rounds, partial(timed, loop, STEPS))
        seconds, work = min(times), macs(network)
        base = first.setdefault(what, (seconds, work))
        rows.append(
            {
                "what grows": what,
                "value": value,
                "model": name,
                "parameters": f"{parameters(network):,}",
                "MACs per image": f"{work:,}",
                "ms per step of 100": f"{seconds * 1000:.1f}",
                "time / the first's": f"{seconds / base[0]:.2f}",
                "MACs / the first's": f"{work / base[1]:.2f}",
            }
        )
    about = (
        "The fastest of a few rounds of edgekd's training steps. The number of images does not change a step, so an "
        "epoch is a straight line in it."
    )
    publish("work", "Cost against work", about, rows, asked.threads, is_trial=asked.trial)


if __name__ == "__main__":
    main()
