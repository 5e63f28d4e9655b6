from pathlib import Path

import pytest

from edgekd.cache.plan import CachePlan
from edgekd.cache.temperature import check_temperature, error_at, largest_temperature
from edgekd.errors import CacheError

ERRORS = {"1": 0.01, "2": 0.03, "4": 0.07, "10": 0.1}


def topk_plan(errors: dict[str, float]) -> CachePlan:
    data = {"name": "d", "classes": ["a"] * 1000, "canvas": 8, "channels": 3}
    return CachePlan({}, data, {}, "topk", 5, {}, topk=100, topk_error=errors)


@pytest.mark.parametrize(
    ("temperature", "error"), [(0.5, 0.01), (1, 0.01), (1.5, 0.02), (3, 0.05), (10, 0.1), (22, 0.16)]
)
def test_errors_lie_on_straight_lines(temperature: float, error: float) -> None:
    assert error_at(ERRORS, temperature) == pytest.approx(error)


def test_the_largest_temperature_is_within_the_limit() -> None:
    assert largest_temperature({"1": 0.01, "2": 0.02, "4": 0.1}, 20) == 2.7
    assert largest_temperature({"1": 0.01, "2": 0.02, "4": 0.1}, 1.5) == 1.5
    assert largest_temperature({"1": 0.5}, 4) is None


def test_a_temperature_beyond_the_limit_is_refused_with_the_ways_on() -> None:
    with pytest.raises(CacheError, match=r"off by 7.0% at temperature 4 \(limit 5%\)") as caught:
        check_temperature(Path("cache/big"), topk_plan(ERRORS), 4.0)
    assert "--store u8" in caught.value.hint and "--topk" in caught.value.hint and "--temperature" in caught.value.hint


def test_no_temperature_may_be_small_enough() -> None:
    with pytest.raises(CacheError, match="no temperature is allowed"):
        check_temperature(Path("cache/big"), topk_plan({"1": 0.5, "2": 0.6}), 1.0)


@pytest.mark.parametrize("errors", [ERRORS, {}])
def test_what_is_within_the_limit_passes(errors: dict[str, float]) -> None:
    check_temperature(Path("cache/big"), topk_plan(errors), 2.0)
