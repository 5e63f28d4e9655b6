"""How a search's time is shared out: teacher and cache, short trainings in rungs, the winner's own, what follows."""

from edgekd.config import Search
from edgekd.studies.rehearsal import STEP_START
from edgekd.studies.searching.trials import REDUCTION
from edgekd.studies.teaching import Plan, Wish

SHARES = {"teacher": 0.25, "cache": 0.1, "student": 0.25}
"""The rest, and what these do not use, is for the short trainings."""
MOST_RUNGS = 3
LEAST_RUNG = 5.0
"""Seconds of a short training, at the least."""
TRIALS_HOPED_FOR = 30
LEAST_TRIALS = 3
LEAST_STEPS = 200
"""Of the winner's training: a student that cannot do so many in its time is not tried."""


def wish_of(config: Search, measuring: float) -> Wish:
    """The shares, with time for a few short trainings."""
    spare = LEAST_TRIALS * (LEAST_RUNG + STEP_START)
    return Wish(config.time_limit, SHARES, measuring, spare, config.teacher is not None)


def slowness(plan: Plan, model: str, macs: int) -> float:
    """By how much a student is too slow to train in the winner's time, as a share; 0 or below: it is not.

    An estimate from its multiply-adds and the speed of the default student (inverted) or the teacher (plain).
    """
    kind = "dense" if model.startswith("plain-") else "depthwise"
    return LEAST_STEPS * plan.per_mac[kind] * macs / plan.student - 1


def rungs_of(plan: Plan) -> list[tuple[float, int]]:
    """Seconds and epochs of a student's short trainings, each REDUCTION times as long as the one before."""
    first = max(LEAST_RUNG, plan.least + STEP_START, plan.spare / TRIALS_HOPED_FOR / MOST_RUNGS)
    seconds = [first * REDUCTION**number for number in range(MOST_RUNGS)]
    seconds = [each for number, each in enumerate(seconds) if number == 0 or each <= plan.spare / 4]
    return [
        (round(each, 1), max(1, plan.epochs // REDUCTION ** (len(seconds) - number)))
        for number, each in enumerate(seconds)
    ]
