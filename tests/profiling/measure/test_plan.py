"""Batch sizes, threads, and the one setting that is judged."""

import pytest

from edgekd.config import Profile
from edgekd.errors import UsageError
from edgekd.profiling.device.profiles import find_device
from edgekd.profiling.measure.plan import make_plan, parse_list


def settings(config: Profile, device: str | None = None, cores: int = 4) -> list[tuple[int, int]]:
    plan = make_plan(config, find_device(device) if device else None, cores)
    return [(each.batch, each.threads) for each in plan.settings]


def judged(config: Profile, device: str | None = None) -> tuple[int, int]:
    setting = make_plan(config, find_device(device) if device else None, 4).judged
    return setting.batch, setting.threads


def test_the_default_is_one_image_on_all_cores() -> None:
    assert settings(Profile(), cores=3) == [(1, 3)]


def test_sweeps_are_crossed() -> None:
    assert settings(Profile(batch="1,8", threads="1,2")) == [(1, 1), (1, 2), (8, 1), (8, 2)]


def test_the_profile_s_threads_and_batch_are_taken() -> None:
    assert settings(Profile(), "p2-constraints") == [(100, 2)]


def test_the_profile_s_batch_is_measured_beside_those_asked_for() -> None:
    assert settings(Profile(batch="8"), "raspberry-pi-4") == [(8, 4), (1, 4)]
    assert judged(Profile(batch="8"), "raspberry-pi-4") == (1, 4)


def test_a_sweep_is_judged_at_the_device_s_threads() -> None:
    assert judged(Profile(threads="1,2,4"), "raspberry-pi-4") == (1, 4)
    assert judged(Profile(threads="1,2"), "raspberry-pi-4") == (1, 1)


def test_a_smaller_machine_takes_its_own_cores_and_says_so() -> None:
    plan = make_plan(Profile(), find_device("raspberry-pi-4"), 2)
    assert plan.judged.threads == 2
    assert "only 2 cores are usable here" in plan.warnings[0]


def test_threads_asked_for_are_taken_at_their_word() -> None:
    plan = make_plan(Profile(threads="8"), None, 2)
    assert plan.judged.threads == 8
    assert "8 threads on 2 usable cores" in plan.warnings[0]


@pytest.mark.parametrize("text", ["0", "1,,2", "two", "1.5", "-1", "1 2", "5000"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--threads"):
        make_plan(Profile(threads=text), None, 4)


def test_numbers_count_once() -> None:
    assert parse_list("batch", "1, 8,1") == [1, 8]
