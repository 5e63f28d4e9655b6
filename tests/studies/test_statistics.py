import pytest

from edgekd.studies.statistics import compare, spread_of, t_quantile


@pytest.mark.parametrize(("freedom", "value"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (5, 2.5706), (30, 2.0423)])
def test_quantiles_are_those_of_tables(freedom: int, value: float) -> None:
    assert t_quantile(0.975, freedom) == pytest.approx(value, abs=1e-4)


def test_the_spread_is_the_samples() -> None:
    found = spread_of([1.0, 2.0, 6.0])
    assert (found.mean, found.n) == (3.0, 3)
    assert found.sd == pytest.approx(7**0.5)


def test_one_value_has_no_deviation() -> None:
    assert spread_of([0.5]).sd is None


def test_pairs_are_compared_over_shared_seeds_only() -> None:
    found = compare({0: 0.5, 1: 0.7, 2: 0.9}, {1: 0.6, 2: 0.7, 3: 0.1})
    assert found is not None
    assert (found.n, round(found.mean, 6)) == (2, 0.15)
    assert found.high == pytest.approx(0.15 + 12.7062 * 0.05, abs=1e-4)


def test_arms_without_shared_seeds_are_not_compared() -> None:
    assert compare({0: 0.5}, {1: 0.5}) is None
