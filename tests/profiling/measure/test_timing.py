"""The loop on a clock that only the runs move."""

import gc

import pytest

from edgekd.profiling.measure.quantiles import summarise
from edgekd.profiling.measure.timing import quiet, repeat
from edgekd.profiling.measure.timing_process import turns


class Clock:
    """Nanoseconds; it stands still unless somebody works."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


class Session:
    """A fake session: 1 ms a run, and 5 ms of sleep more in every `slow_every`-th."""

    def __init__(self, clock: Clock, slow_every: int = 0) -> None:
        self.clock, self.slow_every, self.runs = clock, slow_every, 0
        self.fed: list[int] = []

    def run(self, feed: dict[str, int]) -> None:
        self.runs += 1
        self.fed.append(feed["input"])
        sleeps = self.slow_every and self.runs % self.slow_every == 0
        self.clock.now += 6_000_000 if sleeps else 1_000_000


def measured(slow_every: int) -> dict[str, float]:
    clock = Clock()
    times = repeat(turns(Session(clock, slow_every).run, [{"input": 0}]), seconds=2, runs=1000, clock=clock)
    found = summarise([each / 1e6 for each in times])["percentiles"]
    return {name: row["value"] for name, row in found.items()}


def test_sleeps_in_three_percent_of_the_runs_move_p99_and_not_p50() -> None:
    plain, slowed = measured(0), measured(33)
    assert (plain["p50"], plain["p99"]) == (1.0, 1.0)
    assert (slowed["p50"], slowed["p99"]) == (1.0, 6.0)


@pytest.mark.parametrize(
    ("seconds", "runs", "expected"),
    [
        (0.5, 10, 500),  # the time decides
        (0.1, 200, 200),  # the count decides
        (0.01, 200, 60),  # six times the seconds are the end
        (0.0, 200, 1),  # never none
    ],
)
def test_a_phase_lasts_by_time_and_by_count(seconds: float, runs: int, expected: int) -> None:
    clock = Clock()
    assert len(repeat(turns(Session(clock).run, [{"input": 0}]), seconds, runs, clock)) == expected


def test_inputs_are_used_in_turn() -> None:
    clock = Clock()
    session = Session(clock)
    repeat(turns(session.run, [{"input": 1}, {"input": 2}, {"input": 3}]), 0.005, 5, clock)
    assert session.fed == [1, 2, 3, 1, 2]


def test_nothing_is_collected_while_measuring() -> None:
    with quiet():
        assert not gc.isenabled()
    assert gc.isenabled()
