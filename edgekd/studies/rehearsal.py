"""How fast the trainings of a piece of work will be, from a few steps of each network on its images."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from edgekd.compute.formats import device_of, measure_step
from edgekd.config import Pinned, TrainTeacher
from edgekd.cores import available_cores
from edgekd.data.batch import Batch
from edgekd.data.loader import Batches
from edgekd.data.view_options import view_recipe
from edgekd.images.imageset import ImageData
from edgekd.models.build import build
from edgekd.models.cost import macs
from edgekd.models.defaults import recipe_for
from edgekd.models.network import Network
from edgekd.objectives.supervised import Supervised
from edgekd.teachers.cache_planning import CHEAP_VIEWS
from edgekd.training.pace import MARGIN, Pace, measure_pace
from edgekd.training.settings import Settled, format_of, settle, training_step

LEAST_STEPS = 30
"""Of a training that is worth the name."""
STEP_START = 6.0
"""Seconds in which a step's process starts, opens the images and writes what it has made."""


@dataclass(frozen=True)
class Rehearsed:
    """A network's pace, the epochs of its own recipe, seconds per image of a forward pass, and its speed."""

    pace: Pace
    epochs: int
    forward: float
    per_mac: float
    """Seconds of a step for each multiply-add of a batch's images."""

    @property
    def step(self) -> float:
        """Seconds of a step at full size."""
        return self.pace.steps[-1]

    @property
    def least(self) -> float:
        """Seconds of the shortest training worth the name."""
        return MARGIN * self.pace.whole(LEAST_STEPS)

    @property
    def whole(self) -> float:
        """Seconds of all epochs."""
        return MARGIN * self.pace.whole(self.epochs * self.pace.steps_per_epoch)

    def views_within(self, seconds: float, images: int) -> int:
        """How many views of so many images it sees in this time as a teacher; 0: not even one."""
        return min(CHEAP_VIEWS, math.floor(seconds / (MARGIN * self.forward * images)))


@dataclass(frozen=True)
class _Scene:
    """A training that could begin."""

    network: Network
    config: Settled
    batches: Batches
    objective: Supervised
    first: Batch


def _scene(model: str, data: ImageData, pins: Mapping[str, Any]) -> _Scene:
    torch.manual_seed(0)
    network = build(model, data)
    asked = TrainTeacher(model=model, flip="off", time_limit="1s", **pins)
    config = settle(asked, recipe_for(network.spec.name), len(data.train))
    device = device_of(config)
    batches = Batches(data.train, view_recipe(config), config.batch_size, config.seed, None)
    objective = Supervised(network, config.label_smoothing).to(device)
    return _Scene(network, config, batches, objective, next(batches.starting_at(0)).to(device))


def rehearse(model: str, data: ImageData, pins: Mapping[str, Any]) -> Rehearsed:
    """Time a few steps of training `model` on `data`, with threads and number format as in `pins`."""
    scene = _scene(model, data, pins)
    pace = measure_pace(scene.config, scene.objective, scene.first, scene.batches, (len(data.val), len(data.test)))
    work = macs(scene.network) * scene.config.batch_size
    forward = (pace.validation or 0.0) / max(1, len(data.val))
    return Rehearsed(pace, scene.config.epochs, forward, pace.steps[-1] / work)


def settle_pins(model: str, data: ImageData, pinned: Pinned) -> dict[str, Any]:
    """Threads, number format and layout of all trainings: all cores, or as few as are faster at this moment."""
    pins = {"precision": pinned.precision, "memory_format": pinned.memory_format}
    if pinned.threads is not None:
        return {**pins, "threads": pinned.threads}
    counts = sorted({max(1, available_cores() >> halving) for halving in range(3)}, reverse=True)
    return {**pins, "threads": min(counts, key=lambda count: _seconds(model, data, {**pins, "threads": count}))}


def _seconds(model: str, data: ImageData, pins: Mapping[str, Any]) -> float:
    scene = _scene(model, data, pins)
    step = training_step(scene.objective)
    return measure_step(format_of(scene.config), scene.objective, scene.first, step).seconds_per_image
