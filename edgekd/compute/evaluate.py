"""How good a network is on labelled images, in order and unvaried: quickly between epochs, exactly at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from edgekd.compute.distributed import everyone
from edgekd.compute.formats import Format
from edgekd.data.loader import in_order
from edgekd.images.imageset import UNLABELLED, Split
from edgekd.models.network import Network
from edgekd.report import Progress
from edgekd.runtimes.scores import Scores, Tally, scores_of

EXACT = Format()


@dataclass(frozen=True)
class Score:
    """Top-1 accuracy (0-1), mean cross-entropy (nats) and how many labelled images they are over."""

    top1: float
    loss: float
    count: int


def logits_of(
    network: Network, split: Split, batch_size: int, form: Format
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Logits [batch, classes] in float32 and targets [batch], batch by batch, in evaluation mode."""
    # a network that ONNX Runtime computes has no parameters
    device = next((each.device for each in network.parameters()), torch.device("cpu"))
    network.eval()
    with torch.inference_mode(), form.autocast(device):
        for batch in in_order(split, batch_size):
            moved = batch.to(device)
            yield network(moved.canvas).float(), moved.target


def evaluate(network: Network, split: Split, batch_size: int, form: Format, progress: Progress | None = None) -> Score:
    """The score over the labelled images of a split."""
    right, loss, count = 0, 0.0, 0
    for logits, target in logits_of(network, split, batch_size, form):
        right += int((logits.argmax(1) == target).sum())
        loss += float(F.cross_entropy(logits, target, ignore_index=UNLABELLED, reduction="sum"))
        count += int((target != UNLABELLED).sum())
        if progress is not None:
            progress.advance(len(target))
    return Score(right / max(count, 1), loss / max(count, 1), count)


def evaluate_together(network: Network, split: Split, batch_size: int, form: Format) -> Score:
    """The same score, of which each rank works out a share; the network's statistics are the first rank's."""
    ranks = everyone()
    if ranks.world == 1:
        return evaluate(network, split, batch_size, form)
    ranks.share(network.buffers())
    mine = slice(ranks.rank, None, ranks.world)
    own = evaluate(network, replace(split, index=split.index[mine], targets=split.targets[mine]), batch_size, form)
    right, loss, count = ranks.add([round(own.top1 * own.count), own.loss * own.count, own.count]).wait()
    return Score(right / max(count, 1), loss / max(count, 1), int(count))


def judge(
    network: Network,
    split: Split,
    batch_size: int,
    progress: Progress | None = None,
    *,
    form: Format = EXACT,
    keep_failures: bool = False,
) -> Tally:
    """The answers to a split, unless said otherwise of float32 weights computed in float32: what is delivered."""
    form.prepare(network)
    tally = Tally(len(network.spec.classes), keep_failures)
    with _exact_products():
        for logits, target in logits_of(network, split, batch_size, form):
            tally.add(logits.cpu().numpy(), target.cpu().numpy())
            if progress is not None:
                progress.advance(len(target))
    return tally


def answers(
    network: Network, split: Split, batch_size: int, progress: Progress | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits [images, classes] and targets [images] of a whole split, of float32 weights computed in float32."""
    EXACT.prepare(network)
    logits, targets = [], []
    with _exact_products():
        for found, target in logits_of(network, split, batch_size, EXACT):
            logits.append(found.cpu().numpy())
            targets.append(target.cpu().numpy())
            if progress is not None:
                progress.advance(len(target))
    return np.concatenate(logits), np.concatenate(targets)


@contextmanager
def _exact_products() -> Iterator[None]:
    """On a GPU cuDNN rounds the factors of float32 products to 10 bits unless told not to."""
    cudnn: Any = torch.backends.cudnn
    before, cudnn.allow_tf32 = cudnn.allow_tf32, False
    try:
        yield
    finally:
        cudnn.allow_tf32 = before


def judge_together(network: Network, split: Split, batch_size: int, progress: Progress | None = None) -> Scores:
    """The figures of `judge`, of which each rank works out a share; the network's statistics are the first rank's."""
    ranks = everyone()
    ranks.share(network.buffers())
    mine = slice(ranks.rank, None, ranks.world)
    own = replace(split, index=split.index[mine], targets=split.targets[mine])
    numbers = judge(network, own, batch_size, progress).numbers()
    return scores_of(ranks.add(numbers.tolist()).wait())


def result_of(val: Scores, test: Scores) -> dict[str, Any]:
    """What a run's manifest keeps of its figures; an accuracy over no labelled image is None."""
    found = {f"test_{name}": value for name, value in test.as_dict().items() if name != "count"}
    if not test.count:
        found = {"test_top1": None}
    return found | {"test_images": test.count, "val_top1": val.top1 if val.count else None}
