"""How long a training takes: steps at every image size to come, making batches, validation and the closing test."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from edgekd.compute.formats import Format, measure_step, trial_batch
from edgekd.data.batch import Batch
from edgekd.data.loader import Batches
from edgekd.models.network import Network
from edgekd.objectives.objective import Objective
from edgekd.report import Reporter
from edgekd.training.schedule import GROWTH, seconds_of, size_share
from edgekd.training.settings import Settled, format_of, training_step

MARGIN = 1.1
"""By how much a time limit's steps may be slower than in the trial."""
BATCHES_TIMED = 2
FORGETTING = 0.995
"""What was observed so many steps ago counts by this to that power."""
FORWARD = 1 / 3
"""A forward pass's share of a step's work, where nothing better is known."""


@dataclass(frozen=True)
class Pace:
    """Seconds of a training's parts, of one rank.

    `steps` has one number for each stage of image sizes (GROWTH); where nothing was measured they are 1, and the others
    None: the training's own speed then tells.
    """

    steps_per_epoch: int
    steps: tuple[float, ...] = (1.0,) * len(GROWTH)
    validation: float | None = None
    closing: float | None = None

    def step(self, progress: float) -> float:
        """A step at `progress` (0..1)."""
        return next(
            (seconds for seconds, (until, _) in zip(self.steps, GROWTH, strict=True) if progress < until),
            self.steps[-1],
        )

    def learning(self, total: int, done: int = 0) -> float:
        """All steps from `done` on, of `total`."""
        ends = [-(-round(until * 1000) * total // 1000) for until, _ in GROWTH]
        borders = [max(done, end) for end in (0, *ends)]
        counts = (last - first for first, last in pairwise(borders))
        return sum(count * seconds for count, seconds in zip(counts, self.steps, strict=True))

    def validations(self, total: int, done: int = 0) -> int:
        """How often is still validated: after each epoch and at the end."""
        return -(-total // self.steps_per_epoch) - done // self.steps_per_epoch

    def whole(self, total: int) -> float:
        """A training of so many steps, with all that belongs to it."""
        return self.learning(total) + self.validations(total) * (self.validation or 0.0) + (self.closing or 0.0)

    def steps_within(self, seconds: float, most: int) -> int:
        """The most steps, at least one, whose training takes no longer."""
        fewest = 1
        while fewest < most:
            middle = (fewest + most + 1) // 2
            fewest, most = (middle, most) if self.whole(middle) <= seconds else (fewest, middle - 1)
        return fewest


def measure_pace(
    config: Settled, objective: Objective, batch: Batch, batches: Batches, images: tuple[int, int]
) -> Pace:
    """Time a step at every image size to come, making batches, and evaluating so many `images` (validation, test).

    `batch` is what a step computes at a time, on its device. Without growing images and a time limit nothing is timed.
    """
    first = config.progressive
    if first == 1 and config.time_limit is None:
        return Pace(batches.steps_per_epoch)
    step, form = training_step(objective), format_of(config)
    networks = [each for each in objective.modules() if isinstance(each, Network)]
    few = trial_batch(objective, batch, step)
    making = _seconds_per_batch(batches)
    shares = [size_share(start, first) for start in (0.0, *(until for until, _ in GROWTH[:-1]))]
    seconds: dict[float, float] = {}
    for share in dict.fromkeys(shares):
        for network in networks:
            network.training_side = None if share == 1 else round(network.spec.input_size * share)
        per_image = measure_step(form, objective, few, step).seconds_per_image
        learning = per_image * -(-batches.images_per_step // batches.world)
        # on a CPU both want the same cores
        seconds[share] = max(learning, making) if batch.canvas.is_cuda else learning + making
    for network in networks:
        network.training_side = None
    quick, exact = (_evaluating(networks[0], each, few) + making / batches.images_per_step for each in (form, Format()))
    validation, test = images
    return Pace(
        batches.steps_per_epoch,
        tuple(seconds[share] for share in shares),
        validation * quick / batches.world,
        (validation + test) * exact / batches.world,
    )


def _evaluating(network: Network, form: Format, batch: Batch) -> float:
    """Seconds per image of a forward pass."""

    def forward(each: Batch) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = network(each.canvas)
            return logits.float().mean()

    was_training = network.training
    seconds = measure_step(form, network.eval(), batch, forward).seconds_per_image
    network.train(was_training)
    return seconds


def settle_time(config: Settled, pace: Pace, spent: float, report: Reporter) -> Settled:
    """Turn a time limit into the number of steps of `config.steps`; `spent` seconds of it have passed already."""
    if config.time_limit is None or config.steps is not None:
        return config
    left = (seconds_of(config.time_limit) - spent) / MARGIN
    steps = pace.steps_within(left, config.epochs * pace.steps_per_epoch)
    report.note(
        f"time limit {config.time_limit}: at most {steps} steps, about {pace.whole(steps):.0f} s with "
        f"{pace.validations(steps)} validations and the closing test; {spent:.0f} s have passed before"
    )
    return replace(config, steps=steps)


def _seconds_per_batch(batches: Batches) -> float:
    # of the second epoch: the first may show the plain view, which costs less
    coming = batches.starting_at(batches.steps_per_epoch)
    next(coming)
    started = time.perf_counter()
    for _ in range(BATCHES_TIMED):
        next(coming)
    return (time.perf_counter() - started) / BATCHES_TIMED


class Course:
    """What a training has taken so far, and from that and its pace what it will still take."""

    def __init__(self, pace: Pace, images: Sequence[int]) -> None:
        """`images`: of a step, of a validation, and of the closing test."""
        self.pace = pace
        self.images = images
        self._seconds = self._expected = 0.0
        self._validation = pace.validation

    def stepped(self, seconds: float, progress: float) -> None:
        """Take note of a step."""
        self._seconds = FORGETTING * self._seconds + seconds
        self._expected = FORGETTING * self._expected + self.pace.step(progress)

    def validated(self, seconds: float) -> None:
        """Take note of a validation."""
        self._validation = seconds

    def left(self, total: int, done: int) -> float | None:
        """Seconds until the closing figures are there; None before the first step."""
        if not self._expected:
            return None
        rate = self._seconds / self._expected
        per_step, validation, test = self.images
        validating = self._validation
        if validating is None:
            validating = rate * self.pace.step(done / total) * validation / max(per_step, 1) * FORWARD
        closing = validating * (validation + test) / max(validation, 1)
        if self.pace.closing is not None and self.pace.validation:
            closing = self.pace.closing * validating / self.pace.validation
        return rate * self.pace.learning(total, done) + self.pace.validations(total, done) * validating + closing
