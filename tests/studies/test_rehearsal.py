"""A look at how fast trainings will be, and the plan made of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgekd.config import Data, Pinned
from edgekd.data.sources import open_data
from edgekd.errors import UsageError
from edgekd.images.imageset import ImageData
from edgekd.report import Silent
from edgekd.studies.clock import Clock
from edgekd.studies.rehearsal import Rehearsed, rehearse, settle_pins
from edgekd.studies.teaching import STUDENT, TEACHERS, Plan, Wish, check_limit, plan_teaching
from edgekd.training.pace import Pace

SHARES = {"teacher": 0.45, "cache": 0.1, "student": 0.45}
PINS = {"threads": 1, "precision": "fp32", "memory_format": "channels-last"}
STEPS = {STUDENT: 0.1, TEACHERS[0]: 3.0, TEACHERS[1]: 0.3}
"""Seconds of a step of a made-up machine."""


@pytest.fixture(scope="module")
def data(folder: Path) -> ImageData:
    return open_data(Data(data=str(folder)), Silent())


def seen(model: str) -> Rehearsed:
    step = STEPS[model]
    pace = replace(Pace(7), steps=(step, step, step), validation=step, closing=2 * step)
    return Rehearsed(pace, 30, step / 100, step / 1e8)


def planned(data: ImageData, limit: float, folder: Path, **wishes: Any) -> Plan:  # noqa: ANN401
    wish = Wish(f"{limit:g}s", SHARES, measuring=4.0, **wishes)
    return plan_teaching(wish, data, Clock(folder, limit), seen)


@pytest.mark.slow
def test_a_larger_network_is_slower(data: ImageData) -> None:
    small, large = rehearse(STUDENT, data, PINS), rehearse("plain-w64-d3-k3", data, PINS)
    assert 0 < small.step < large.step
    assert 0 < small.forward < large.forward
    assert small.least < large.least


def test_times_follow_from_the_pace(data: ImageData) -> None:
    look = seen(STUDENT)
    assert look.least == pytest.approx(1.1 * (30 * 0.1 + 5 * 0.1 + 0.2))
    assert look.whole == pytest.approx(1.1 * (210 * 0.1 + 30 * 0.1 + 0.2))
    assert look.views_within(11.0, 1000) == 10
    assert look.views_within(1e6, 100) == 24
    assert look.views_within(0.0, 100) == 0


def test_given_threads_stay_and_others_are_measured(data: ImageData) -> None:
    assert settle_pins(STUDENT, data, Pinned(threads=7))["threads"] == 7
    assert settle_pins(STUDENT, data, Pinned())["threads"] >= 1


def test_the_plan_fits_the_limit(data: ImageData, tmp_path: Path) -> None:
    plan = planned(data, 600, tmp_path)
    assert plan.teacher == "resnet9"
    assert plan.student == pytest.approx(plan.teaching)
    assert plan.teaching + plan.student + plan.after < 600
    assert plan.views == 24
    assert plan.after > 4.0


def test_a_teacher_is_not_given_more_time_than_its_epochs_take(data: ImageData, tmp_path: Path) -> None:
    assert planned(data, 36000, tmp_path).teaching == pytest.approx(seen("resnet9").whole, abs=0.1)


def test_a_dear_teacher_gives_way_to_a_smaller_one(data: ImageData, tmp_path: Path) -> None:
    assert planned(data, 200, tmp_path).teacher == TEACHERS[1]
    assert planned(data, 200, tmp_path, has_teacher=True).teacher is None


def test_a_limit_that_holds_no_plan_is_refused_with_one_that_does(data: ImageData, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        planned(data, 70, tmp_path)
    needed = float(error.value.hint.removeprefix("give --time-limit ").split("s")[0])
    assert needed > 70
    assert planned(data, needed, tmp_path).teacher == TEACHERS[1]


def test_time_wanted_for_other_work_is_in_the_plan(data: ImageData, tmp_path: Path) -> None:
    shares = {"teacher": 0.3, "cache": 0.1, "student": 0.3}
    wish = Wish("600s", shares, measuring=4.0, spare=100.0)
    assert plan_teaching(wish, data, Clock(tmp_path, 600), seen).spare >= 100
    with pytest.raises(UsageError):
        plan_teaching(replace(wish, spare=300.0), data, Clock(tmp_path, 600), seen)


def test_limits_that_start_nothing_are_refused() -> None:
    assert check_limit("2m") == 120
    with pytest.raises(UsageError):
        check_limit("59s")
