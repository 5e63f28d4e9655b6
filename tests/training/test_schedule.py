import pytest

from edgekd.errors import UsageError
from edgekd.training.schedule import one_cycle, seconds_of


def test_the_rate_rises_then_falls_to_zero() -> None:
    values = [one_cycle(step / 100, 0.2) for step in range(101)]
    assert values.index(max(values)) == 20 and values[20] == 1 and values[100] == pytest.approx(0)
    assert all(a < b for a, b in zip(values[:20], values[1:21], strict=True))
    assert all(a > b for a, b in zip(values[20:100], values[21:], strict=True))


def test_without_warm_up_it_starts_at_the_peak() -> None:
    assert one_cycle(0.0, 0.0) == 1


@pytest.mark.parametrize(("limit", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1.5 m", 90), ("45", 45)])
def test_times_are_read(limit: str, seconds: float) -> None:
    assert seconds_of(limit) == seconds


@pytest.mark.parametrize("limit", ["", "soon", "-3m", "0s", "3d"])
def test_what_is_no_time_is_refused(limit: str) -> None:
    with pytest.raises(UsageError, match="--time-limit"):
        seconds_of(limit)
