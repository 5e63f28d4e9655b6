"""Whether edgekd's fast layers, format and loop learn as well as PyTorch's own: test accuracy after equal epochs.

Both see the same images with flips only, by the model's recipe and the same learning rates, so that nothing but the
layers, the format and the loop differ. Runs that are finished in --work are not repeated.
"""

import json
import statistics
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from plain import plain_logits, plain_network
from record import options, publish
from torch import nn

from edgekd.config import Data, TrainTeacher
from edgekd.images.imageset import ImageData, Split
from edgekd.images.sources import open_images
from edgekd.models.defaults import recipe_for
from edgekd.recipes import train_teacher
from edgekd.report import Silent
from edgekd.runs import Run
from edgekd.training.schedule import one_cycle
from edgekd.training.settings import settle


def plain(config: TrainTeacher, data: ImageData) -> float:
    """Test accuracy of a tutorial's loop: NCHW, fp32, PyTorch's layers."""
    torch.manual_seed(config.seed)
    config = settle(config, recipe_for(config.model), len(data.train))
    network = plain_network(config.model, data, "cpu")
    groups = [
        {"params": [each for each in network.parameters() if each.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [each for each in network.parameters() if each.ndim <= 1], "weight_decay": 0.0},
    ]
    rate = config.lr or 0.0
    optimizer: torch.optim.Optimizer = torch.optim.AdamW(groups, lr=rate)
    if config.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)
    images = torch.from_numpy(data.train.pixels.gather(data.train.index)).permute(0, 3, 1, 2).contiguous()
    targets = torch.from_numpy(data.train.targets)
    batch = config.batch_size or 1
    per_epoch = len(targets) // batch
    steps = per_epoch * (config.epochs or 1)
    for step in range(steps):
        if step % per_epoch == 0:
            order = torch.randperm(len(targets))
        for group in optimizer.param_groups:
            group["lr"] = rate * one_cycle(step / steps, config.warmup)
        rows = order[step % per_epoch * batch :][:batch]
        turned = (torch.rand(len(rows)) < 0.5)[:, None, None, None]
        shown = torch.where(turned, images[rows].flip(3), images[rows])
        loss = F.cross_entropy(
            plain_logits(network, shown), targets[rows], label_smoothing=config.label_smoothing or 0.0
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return _tested(network, data.test)


@torch.inference_mode()
def _tested(network: nn.Module, split: Split) -> float:
    network.eval()
    right = 0
    for start in range(0, len(split), 500):
        rows = slice(start, start + 500)
        logits = network(torch.from_numpy(split.pixels.gather(split.index[rows])))
        right += int((logits.argmax(1) == torch.from_numpy(split.targets[rows])).sum())
    return right / len(split)


def _accuracy(asked: Namespace, model: str, seed: int, arm: str, data: ImageData) -> float:
    run = Run(asked.work / f"{arm}-{model}-{data.name}-{len(data.train)}-{asked.epochs}e-s{seed}")
    config = TrainTeacher(
        model=model,
        data=asked.data,
        limit=asked.images,
        epochs=asked.epochs,
        crop=0.0,
        seed=seed,
        view_seed=seed,
        progressive=1.0,
        threads=asked.threads,
        runs=asked.work,
        name=run.path.name,
    )
    if arm == "edgekd":
        if not run.is_there or run.manifest()["status"] != "finished":
            train_teacher.run(replace(config, overwrite=run.is_there), Silent())
        return float(run.manifest()["result"]["test_top1"])
    kept = run.path.with_suffix(".json")
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(plain(config, data)))
    return float(json.loads(kept.read_text()))


def _row(asked: Namespace, model: str, data: ImageData) -> dict[str, Any]:
    arms = ("plain", "edgekd")
    found = {arm: [_accuracy(asked, model, seed, arm, data) for seed in range(asked.seeds)] for arm in arms}
    apart = statistics.mean(found["edgekd"]) - statistics.mean(found["plain"])
    told = {
        f"{arm} (mean ± sd)": f"{statistics.mean(each):.2%} ± {statistics.stdev(each):.2%}"
        for arm, each in found.items()
    }
    seeds = {f"{arm}, by seed": ", ".join(f"{value:.2%}" for value in each) for arm, each in found.items()}
    return {"model": model} | told | {"edgekd - plain": f"{apart:+.2%}"} | seeds


def main() -> None:
    """Train what is missing and publish the table."""
    parser = options(__doc__)
    parser.add_argument("--data", default="shapes")
    parser.add_argument("--images", type=int, help="training images and test images at most")
    parser.add_argument("--work", type=Path, required=True, help="folder of runs, kept")
    parser.add_argument("--models", default="custom-student,resnet8,tiny-cnn")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    data = open_images(Data(data=asked.data, limit=asked.images), Silent())
    rows = [_row(asked, model, data) for model in asked.models.split(",")]
    about = (
        f"{len(data.train):,} training images of {data.name}, {asked.epochs} epochs, the models' recipes, flips only; "
        f"test accuracy (n = {len(data.test):,}): of the last epoch for the plain loop, of the best by validation for "
        "edgekd."
    )
    publish("plain-accuracy", "Accuracy against a plain PyTorch loop", about, rows, asked.threads, is_trial=asked.trial)


if __name__ == "__main__":
    main()
