"""How a search's time is shared out: teacher and cache, short trainings in rungs, the winner's own, what follows."""

from edgekd.config import Search
from edgekd.studies.rehearsal import STEP_START
from edgekd.studies.searching.trials import REDUCTION
from edgekd.studies.teaching import Plan, Wish

SHARES = {"teacher": 0.3, "cache": 0.1, "student": 0.3}
"""The rest, and what these do not use, is for the short trainings."""
MOST_RUNGS = 3
LEAST_RUNG = 5.0
"""Seconds of the shortest training that still tells students apart."""
TRIALS_HOPED_FOR = 30
LEAST_TRIALS = 3


def wish_of(config: Search, measuring: float) -> Wish:
    """The shares, with time for a few short trainings."""
    spare = LEAST_TRIALS * (LEAST_RUNG + STEP_START)
    return Wish(config.time_limit, SHARES, measuring, spare, config.teacher is not None)


def rungs_of(plan: Plan) -> list[tuple[float, int]]:
    """Seconds and epochs of a student's short trainings, each REDUCTION times as long as the one before."""
    first = max(LEAST_RUNG, plan.spare / TRIALS_HOPED_FOR / MOST_RUNGS)
    seconds = [first * REDUCTION**number for number in range(MOST_RUNGS)]
    seconds = [each for number, each in enumerate(seconds) if number == 0 or each <= plan.spare / 4]
    return [
        (round(each, 1), max(1, plan.epochs // REDUCTION ** (len(seconds) - number)))
        for number, each in enumerate(seconds)
    ]
