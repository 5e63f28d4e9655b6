"""From the options given to the ones really used: model defaults, cache's views, measured format, time limit."""

from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from edgekd.compute.choosing import choose_format, choose_threads
from edgekd.compute.formats import Format, Step
from edgekd.config import Fit, Machine, Training
from edgekd.data.batch import Batch
from edgekd.data.view_options import resolve_views
from edgekd.images.balance import balanced_weights
from edgekd.images.imageset import ImageData
from edgekd.models.defaults import Recipe, epochs_of
from edgekd.objectives.objective import Objective, weighted_sum
from edgekd.report import Reporter

Config = TypeVar("Config", bound=Training)


def settle(config: Config, recipe: Recipe, images: int) -> Config:
    """Fill what was left open from the model's recipe; a batch is never larger than the training set."""
    recipe = recipe.by(config.optimizer)
    batch_size = min(config.batch_size or recipe.batch_size, images)
    return replace(
        config,
        epochs=config.epochs or epochs_of(recipe, config.schedule, max(1, images // batch_size)),
        batch_size=batch_size,
        optimizer=recipe.optimizer,
        lr=recipe.lr if config.lr is None else config.lr,
        weight_decay=recipe.weight_decay if config.weight_decay is None else config.weight_decay,
        label_smoothing=recipe.label_smoothing if config.label_smoothing is None else config.label_smoothing,
        progressive=recipe.progressive if config.progressive is None else config.progressive,
        **resolve_views(config, {"seed": config.seed, "crop": recipe.crop}),
    )


def training_step(objective: Objective) -> Step:
    """Forward and backward of an objective, for trials."""

    def step(batch: Batch) -> torch.Tensor:
        loss = weighted_sum(objective(batch, 0.0))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return step


def settle_format(config: Config, objective: Objective, batch: Batch, report: Reporter) -> Config:
    """Fix number format, layout and threads, by measurement where they were left open."""
    step = training_step(objective)
    form = choose_format(config, objective, batch, step, report)
    threads = config.threads or choose_threads(form, objective, batch, step, report)
    return replace(config, precision=form.precision, memory_format=form.memory_format, threads=threads)


def format_of(config: Machine) -> Format:
    """The format of settled options."""
    return Format(config.precision, config.memory_format)


def total_steps(config: Fit, steps_per_epoch: int) -> int:
    """Optimiser steps of the whole training: epochs, or `--steps` when that ends earlier."""
    by_epochs = (config.epochs or 1) * steps_per_epoch
    return by_epochs if config.steps is None else min(config.steps, by_epochs)


def weigh_classes(config: Training, data: ImageData) -> Tensor | None:
    """Weights of the classes in the cross-entropy, `[classes]`; None where all labels count the same."""
    if config.class_weights == "none":
        return None
    return torch.from_numpy(balanced_weights(data.train.targets, len(data.classes)))
