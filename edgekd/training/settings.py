"""From the options given to the ones really used: model defaults, cache's views, measured format, time limit."""

from dataclasses import replace
from typing import Any, TypeVar

import torch

from edgekd.config import Fit, Machine, Training, Views
from edgekd.data.batch import Batch
from edgekd.images.views import ViewRecipe
from edgekd.models.defaults import Recipe
from edgekd.report import Reporter
from edgekd.runs import available_cores
from edgekd.training.formats import Format, choose_format, measure_step, trial_batch
from edgekd.training.schedule import seconds_of
from edgekd.training.update import Objective

Config = TypeVar("Config", bound=Training)
AnyViews = TypeVar("AnyViews", bound=Views)
CROP = 0.125
"""Four pixels of 32, the usual CIFAR augmentation."""


def settle(config: Config, recipe: Recipe, images: int) -> Config:
    """Fill what was left open from the model's recipe; a batch is never larger than the training set."""
    batch_size = min(config.batch_size or recipe.batch_size, images)
    return replace(
        config,
        epochs=config.epochs or recipe.epochs,
        batch_size=batch_size,
        optimizer=config.optimizer or recipe.optimizer,
        lr=recipe.lr if config.lr is None else config.lr,
        weight_decay=recipe.weight_decay if config.weight_decay is None else config.weight_decay,
        label_smoothing=recipe.label_smoothing if config.label_smoothing is None else config.label_smoothing,
        **_views(config, {"seed": config.seed}),
        threads=config.threads or available_cores(),
    )


def _views(config: Views, known: dict[str, Any]) -> dict[str, Any]:
    """The view options: as given, else the known recipe's, else the defaults."""
    return {
        "crop": known.get("crop", CROP) if config.crop is None else config.crop,
        "flip": known.get("flip", True) if config.flip is None else config.flip,
        "view_seed": known.get("seed", 0) if config.view_seed is None else config.view_seed,
    }


def settle_views(config: AnyViews, known: dict[str, Any]) -> AnyViews:
    """Fill the view options that were left open from a recipe's description (empty: the defaults)."""
    return replace(config, **_views(config, known))


def view_recipe(config: Views) -> ViewRecipe:
    """The recipe of settled view options."""
    return ViewRecipe(crop=config.crop or 0.0, flip=bool(config.flip), seed=config.view_seed or 0)


def settle_format(config: Config, objective: Objective, batch: Batch, report: Reporter) -> Config:
    """Fix number format and layout, by measurement where they were left open."""

    def step(each: Batch) -> torch.Tensor:
        loss = torch.stack(list(objective(each, 0.0).values())).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    form = choose_format(config, objective, batch, step, report)
    fixed = replace(config, precision=form.precision, memory_format=form.memory_format)
    if config.time_limit is None or config.steps is not None:
        return fixed
    seconds = measure_step(form, objective, trial_batch(objective, batch, step), step).seconds_per_image * len(batch)
    steps = max(1, int(seconds_of(config.time_limit) / (seconds * 1.1)))
    report.note(f"time limit {config.time_limit}: at most {steps} steps of {seconds * 1000:.0f} ms")
    return replace(fixed, steps=steps)


def format_of(config: Machine) -> Format:
    """The format of settled options."""
    return Format(config.precision, config.memory_format)


def total_steps(config: Fit, steps_per_epoch: int) -> int:
    """Optimiser steps of the whole training: epochs, or `--steps` when that ends earlier."""
    by_epochs = (config.epochs or 1) * steps_per_epoch
    return by_epochs if config.steps is None else min(config.steps, by_epochs)
