"""What a training will still take: growing images, validation, making batches and the closing test counted."""

import time

import numpy as np
import pytest
from torch import Tensor, nn

from edgekd.config import TrainTeacher
from edgekd.data.batch import Batch
from edgekd.data.loader import Batches
from edgekd.images.imageset import Split
from edgekd.images.views.recipe import ViewRecipe
from edgekd.models.network import Network
from edgekd.objectives.supervised import Supervised
from edgekd.report import Silent
from edgekd.training.pace import MARGIN, Course, Pace, measure_pace, settle_time
from tests.training.conftest import Pictures

GROWING = Pace(10, (1.0, 2.0, 4.0), validation=5.0, closing=30.0)
FIXED = {"precision": "fp32", "memory_format": "channels-last"}


@pytest.mark.parametrize("total", [1, 2, 7, 10, 99, 1000])
def test_every_step_counts_by_its_own_size(total: int) -> None:
    steps = [GROWING.step(step / total) for step in range(total)]
    for done in (0, 1, total // 2, total):
        assert GROWING.learning(total, done) == sum(steps[done:])


def test_validations_follow_epochs_and_the_last_step() -> None:
    assert [GROWING.validations(total) for total in (1, 10, 11, 25)] == [1, 1, 2, 3]
    assert [GROWING.validations(25, done) for done in (0, 9, 10, 20, 24)] == [3, 3, 2, 1, 1]


@pytest.mark.parametrize("seconds", [10.0, 45.0, 300.0, 10_000.0])
def test_as_many_steps_as_fit(seconds: float) -> None:
    steps = GROWING.steps_within(seconds, 1000)
    assert steps == 1 or GROWING.whole(steps) <= seconds
    assert steps == 1000 or GROWING.whole(steps + 1) > seconds


def followed(course: Course, total: int, seconds: tuple[float, float], truth: Pace) -> list[tuple[float, float]]:
    """What was promised after each step, and what was taken, where steps take what `truth` says."""
    validation, closing = seconds
    taken, promised = 0.0, []
    for step in range(total):
        course.stepped(truth.step(step / total), step / total)
        taken += truth.step(step / total)
        if (step + 1) % truth.steps_per_epoch == 0 or step + 1 == total:
            course.validated(validation)
            taken += validation
        promised.append((taken, course.left(total, step + 1) or 0.0))
    return [(left, taken + closing - before) for before, left in promised]


def test_the_time_left_is_right_from_the_first_step_on() -> None:
    pairs = followed(Course(GROWING, (10, 50, 250)), 100, (5.0, 30.0), GROWING)
    assert all(left == pytest.approx(truth) for left, truth in pairs)


def test_a_machine_slower_than_in_the_trial_is_noticed() -> None:
    slow = Pace(10, (3.0, 6.0, 12.0))
    pairs = followed(Course(GROWING, (10, 50, 250)), 100, (15.0, 90.0), slow)
    assert all(left == pytest.approx(truth) for left, truth in pairs[10:])
    assert all(left == pytest.approx(truth, rel=0.2) for left, truth in pairs)


def test_without_a_trial_the_speed_so_far_tells() -> None:
    even = Pace(10)
    pairs = followed(Course(even, (10, 30, 90)), 100, (1.0, 4.0), even)
    assert all(left == pytest.approx(truth) for left, truth in pairs)
    assert Course(even, (10, 30, 90)).left(100, 0) is None


def test_all_sizes_to_come_are_timed(network: Network, split: Split) -> None:
    sides: list[int] = []

    def note(_: nn.Module, inputs: tuple[Tensor]) -> None:
        sides.append(inputs[0].shape[-1])

    network.backbone.register_forward_pre_hook(note)
    batches = Batches(split, ViewRecipe(0.125, True, 0), 8, seed=0)
    batch = next(batches.starting_at(0))
    found = measure_pace(TrainTeacher(progressive=0.5, **FIXED), Supervised(network), batch, batches, (24, 48))
    assert set(sides) == {4, 6, 8} and network.training_side is None
    assert len(set(found.steps)) == 3 and (found.closing or 0) > (found.validation or 0) > 0
    sides.clear()
    plain = TrainTeacher(progressive=1.0, **FIXED)
    assert measure_pace(plain, Supervised(network), batch, batches, (24, 48)) == Pace(3) and not sides


class Slow(Pictures):
    def gather(self, rows: np.ndarray) -> np.ndarray:
        time.sleep(0.05)
        return super().gather(rows)


def test_a_time_limit_counts_the_making_of_batches(network: Network, split: Split) -> None:
    slow = Split(Slow(split.targets), split.index, split.targets)
    batches = Batches(slow, ViewRecipe(0.125, True, 0), 8, seed=0)
    config = TrainTeacher(time_limit="1s", progressive=1.0, epochs=1000, **FIXED)
    batch: Batch = next(batches.starting_at(0))
    pace = measure_pace(config, Supervised(network), batch, batches, (0, 0))
    assert pace.steps[0] >= 0.05
    assert 1 <= (settle_time(config, pace, 0.0, Silent()).steps or 0) <= 1 / MARGIN / 0.05


def test_a_time_limit_leaves_room_for_all_that_is_not_training() -> None:
    config, report = TrainTeacher(time_limit="330s", epochs=1000), Silent()
    steps = settle_time(config, GROWING, 0.0, report).steps or 0
    assert GROWING.whole(steps) <= 300 < GROWING.whole(steps + 1)
    assert "validations and the closing test" in report.notes[0]
    assert (settle_time(config, GROWING, 110.0, Silent()).steps or 0) == GROWING.steps_within(200, 10_000) < steps
    assert settle_time(TrainTeacher(time_limit="330s", epochs=1), GROWING, 0.0, Silent()).steps == 10
    assert settle_time(TrainTeacher(epochs=3), GROWING, 0.0, Silent()).steps is None
