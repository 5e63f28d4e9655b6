"""Validation images that a trained network puts firmly into another class once they are mirrored."""

from collections import Counter
from dataclasses import dataclass, replace

import torch

from edgekd.compute.formats import Format
from edgekd.data.loader import in_order
from edgekd.images.imageset import ImageData, Split
from edgekd.models.network import Network
from edgekd.report import Reporter

MOST_IMAGES = 2_000
FIRM = 0.5
"""Probability of the other class: above it no third one comes near."""
LEAST_SHARE = 0.25
"""Of a class's images recognised as they are; below it these are the usual mistakes of a network."""
LEAST_IMAGES = 3
SHOWN = 3


@dataclass(frozen=True)
class Turned:
    """Of `known` images of class `before` that are recognised as they are, `count` become `after` when mirrored."""

    before: int
    after: int
    count: int
    known: int


def find_turned(network: Network, split: Split, batch_size: int, form: Format) -> list[Turned]:
    """The pairs of classes that mirroring confuses, by up to 2,000 evenly spaced labelled images of a split."""
    split = split.labelled()
    every = -(-len(split) // MOST_IMAGES) or 1
    split = replace(split, index=split.index[::every], targets=split.targets[::every])
    device = network.offset.device
    pairs: Counter[tuple[int, int]] = Counter()
    known: Counter[int] = Counter()
    network.eval()
    with torch.inference_mode(), form.autocast(device):
        for batch in in_order(split, batch_size):
            canvas = batch.canvas.to(device)
            plain = network(canvas).argmax(1).cpu()
            firmness, taken = network(canvas.flip(2)).float().softmax(1).max(1)
            right = plain == batch.target
            moved = right & (taken.cpu() != batch.target) & (firmness.cpu() > FIRM)
            known.update(batch.target[right].tolist())
            pairs.update(zip(batch.target[moved].tolist(), taken.cpu()[moved].tolist(), strict=True))
    found = [Turned(*pair, count, known[pair[0]]) for pair, count in pairs.most_common()]
    return [each for each in found if each.count >= max(LEAST_IMAGES, LEAST_SHARE * each.known)]


def tell_turned(network: Network, data: ImageData, batch_size: int, form: Format, report: Reporter) -> None:
    """Warn of classes that mirroring turns into one another, with the flag that keeps mirrored images away."""
    found = find_turned(network, data.val, batch_size, form)
    if not found:
        return
    shown = [
        f"{each.count} of {each.known} {data.classes[each.before]} become {data.classes[each.after]}"
        for each in found[:SHOWN]
    ]
    more = f"; and {len(found) - SHOWN} more pairs" if len(found) > SHOWN else ""
    report.warn(
        f"mirrored, validation images change their class: {'; '.join(shown)}{more}; "
        "where a mirror image is another class, train with --flip off"
    )
