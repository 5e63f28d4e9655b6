"""From the options given to the ones really used: model defaults, cache's views, measured format, time limit."""

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch
from torch import Tensor

from edgekd.compute.choosing import choose_format, choose_threads
from edgekd.compute.float8 import float8_share
from edgekd.compute.formats import Format, Step
from edgekd.config import Machine, Training
from edgekd.data.batch import Batch
from edgekd.data.view_options import resolve_views
from edgekd.images.balance import balanced_weights
from edgekd.images.imageset import ImageData
from edgekd.models.defaults import Optimizer, Recipe, epochs_of
from edgekd.models.network import Network
from edgekd.objectives.objective import Objective, weighted_sum
from edgekd.report import Reporter


@dataclass(frozen=True, kw_only=True)
class Settled(Training):
    """The options of a training as they are used: of those below none is open any more."""

    if TYPE_CHECKING:  # the same fields, with their limits; only mypy has to know that they are filled
        epochs: int
        batch_size: int
        optimizer: Optimizer
        lr: float
        weight_decay: float
        label_smoothing: float
        progressive: float
        crop: float
        flip: Literal["on", "off"]
        view_seed: int


AnyMachine = TypeVar("AnyMachine", bound=Machine)


def settle(config: Training, recipe: Recipe, images: int) -> Settled:
    """Fill what was left open from the model's recipe; a batch is never larger than the training set."""
    recipe = recipe.by(config.optimizer)
    batch_size = min(config.batch_size or recipe.batch_size, images)
    filled = resolve_views(config, {"seed": config.seed, "crop": recipe.crop}) | {
        "epochs": config.epochs or epochs_of(recipe, config.schedule, max(1, images // batch_size)),
        "batch_size": batch_size,
        "optimizer": recipe.optimizer,
    }
    for name in ("lr", "weight_decay", "label_smoothing", "progressive"):
        given = getattr(config, name)
        filled[name] = getattr(recipe, name) if given is None else given
    return Settled(**{each.name: getattr(config, each.name) for each in fields(Settled)} | filled)


def training_step(objective: Objective) -> Step:
    """Forward and backward of an objective, for trials."""

    def step(batch: Batch) -> torch.Tensor:
        loss = weighted_sum(objective(batch, 0.0))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return step


def settle_format(config: AnyMachine, objective: Objective, batch: Batch, report: Reporter) -> AnyMachine:
    """Fix number format, layout and threads, by measurement where they were left open."""
    step = training_step(objective)
    form = choose_format(config, objective, batch, step, report)
    threads = config.threads or choose_threads(form, objective, batch, step, report)
    return replace(config, precision=form.precision, memory_format=form.memory_format, threads=threads)


def tell_format(config: Machine, network: Network, report: Reporter) -> dict[str, Any]:
    """For the manifest, and said: which share of fp8 is real where `network` lies; nothing in other formats."""
    if config.precision != "fp8":
        return {}
    share = float8_share(network, next(network.parameters()).device)
    report.note(f"format: fp8, {share}")
    return {"float8": share.to_dict()}


def format_of(config: Machine) -> Format:
    """The format of settled options."""
    return Format(config.precision, config.memory_format)


def total_steps(config: Settled, steps_per_epoch: int) -> int:
    """Optimiser steps of the whole training: epochs, or `--steps` when that ends earlier."""
    by_epochs = config.epochs * steps_per_epoch
    return by_epochs if config.steps is None else min(config.steps, by_epochs)


def weigh_classes(config: Training, data: ImageData) -> Tensor | None:
    """Weights of the classes in the cross-entropy, `[classes]`; None where all labels count the same."""
    if config.class_weights == "none":
        return None
    return torch.from_numpy(balanced_weights(data.train.targets, len(data.classes)))
