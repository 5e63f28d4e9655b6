"""How a search's time becomes short trainings."""

import pytest

from edgekd.studies.rehearsal import STEP_START
from edgekd.studies.searching.time_plan import LEAST_RUNG, LEAST_STEPS, SHARES, rungs_of, slowness
from edgekd.studies.searching.trials import REDUCTION
from edgekd.studies.teaching import Plan

PER_MAC = {"depthwise": 2e-7, "dense": 5e-8}


def plan(spare: float, least: float = 3.0) -> Plan:
    return Plan("resnet9", 100.0, 4, 100.0, 40.0, spare, 24, least, PER_MAC)


@pytest.mark.parametrize(("spare", "count"), [(60, 1), (120, 2), (5000, 3)])
def test_rungs_grow_by_the_reduction_and_leave_time_for_several_trials(spare: float, count: int) -> None:
    rungs = rungs_of(plan(spare))
    assert len(rungs) == count
    seconds = [each for each, _ in rungs]
    assert seconds[0] >= LEAST_RUNG
    assert all(
        later == pytest.approx(REDUCTION * sooner, abs=0.2) for sooner, later in zip(seconds, seconds[1:], strict=False)
    )
    assert seconds[-1] <= spare / 4
    assert [epochs for _, epochs in rungs] == sorted({epochs for _, epochs in rungs})
    assert rungs[-1][1] == 24 // REDUCTION


def test_a_slow_machine_has_longer_rungs() -> None:
    assert rungs_of(plan(400, least=20.0))[0][0] == 20.0 + STEP_START


def test_students_too_slow_to_train_are_told_by_family() -> None:
    most = round(100.0 / (LEAST_STEPS * PER_MAC["dense"]))
    assert slowness(plan(100), "plain-w16-d3-k3", most) == pytest.approx(0)
    assert slowness(plan(100), "plain-w16-d3-k3", 2 * most) == pytest.approx(1)
    assert slowness(plan(100), "inverted-w16-d3-e2-k3", most) == pytest.approx(3)


def test_shares_leave_time_for_trials() -> None:
    assert 1 - sum(SHARES.values()) >= 0.3
