"""MLPerf's rule, windows, ratios: by hand."""

import math
import random
import statistics
from statistics import NormalDist

import pytest

from edgekd.profiling.measure import quantiles


@pytest.mark.parametrize(("percent", "runs"), [(50, 11), (90, 64), (95, 130), (99, 662)])
def test_the_fewest_runs_are_those_of_mlperf(percent: float, runs: int) -> None:
    assert quantiles.runs_needed(percent) == runs


def test_the_rule_is_the_binomial_sum() -> None:
    runs, share = 200, 0.1
    allowed = quantiles.allowed_above(runs, 90)
    chances = [math.comb(runs, k) * share**k * (1 - share) ** (runs - k) for k in range(allowed + 2)]
    assert sum(chances[:-1]) <= 0.01 < sum(chances)


def test_many_runs_come_near_the_normal_approximation() -> None:
    runs = 1_000_000
    expected = runs * 0.05 + NormalDist().inv_cdf(0.01) * math.sqrt(runs * 0.05 * 0.95)
    assert quantiles.allowed_above(runs, 95) == pytest.approx(expected, abs=3)


def test_the_bound_drops_all_but_the_allowed_slowest() -> None:
    ordered = [float(each) for each in range(1, 131)]
    assert quantiles.allowed_above(130, 95) == 1
    assert quantiles.upper_bound(ordered, 95) == 130.0


def test_the_bound_holds_for_almost_all_samples() -> None:
    # of uniform samples, 99 % must have their bound above the true percentile 0.9
    chance = random.Random(0)
    bounds = [quantiles.upper_bound(sorted(chance.random() for _ in range(100)), 90) for _ in range(1000)]
    assert sum(bound is not None and bound >= 0.9 for bound in bounds) >= 985


def test_a_percentile_without_enough_runs_is_none() -> None:
    found = quantiles.summarise([1.0] * 100)["percentiles"]
    assert found["p90"] == {"value": 1.0, "bound": 1.0}
    assert found["p95"] is None
    assert found["p99"] is None


def test_an_asked_for_percentile_is_added() -> None:
    assert "p99.9" in quantiles.summarise([1.0, 2.0], also=99.9)["percentiles"]


def test_a_summary_by_hand() -> None:
    found = quantiles.summarise([1.0, 3.0, 2.0, 6.0])
    assert (found["mean"], found["median"], found["min"], found["max"]) == (3.0, 2.5, 1.0, 6.0)
    assert found["sd"] == pytest.approx(math.sqrt(14 / 3))
    assert found["jitter"] == pytest.approx((2 + 1 + 4) / 3)


def test_percentiles_are_values_that_occurred() -> None:
    assert quantiles.percentile([1.0, 2.0, 3.0, 4.0], 50) == 2.0
    assert quantiles.percentile([1.0, 2.0, 3.0, 4.0], 99) == 4.0


def test_the_order_and_the_middle_are_exact() -> None:
    values = [random.Random(1).choice([0.1, 0.25, 3.0]) for _ in range(10)] + [0.2, 7.5, 0.1]
    assert list(quantiles.ascending(values)) == sorted(values)
    assert quantiles.median(values) == statistics.median(values)
    assert quantiles.summarise(values)["sd"] == pytest.approx(statistics.stdev(values))


def test_windows_are_fifths_in_order() -> None:
    assert quantiles.windows([1, 1, 2, 2, 3, 3, 4, 4, 9, 9]) == [1, 2, 3, 4, 9]
    assert quantiles.windows([5.0]) == [5.0]


def test_thinning_keeps_every_kth() -> None:
    assert quantiles.thin([1, 2, 3, 4, 5], 2) == (3, [1, 4])
    assert quantiles.thin([1, 2], 5) == (1, [1, 2])


def test_equal_ratios_have_no_width() -> None:
    found = quantiles.ratio_interval([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert (found["ratio"], found["low"], found["high"]) == pytest.approx((2.0, 2.0, 2.0))


def test_a_ratio_interval_by_hand() -> None:
    # logarithms 0 and ln 2: mean ln(2)/2, standard error ln(2)/2, t(1) = 12.706
    found = quantiles.ratio_interval([1.0, 2.0], [1.0, 1.0])
    assert found["ratio"] == pytest.approx(math.sqrt(2))
    assert found["high"] == pytest.approx(math.exp(math.log(2) / 2 * (1 + 12.706)))


def test_one_pair_bounds_nothing() -> None:
    assert quantiles.ratio_interval([1.0], [1.0])["low"] == 0.0
