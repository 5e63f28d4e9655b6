import math

import numpy as np
import pytest

from edgekd.images.views.beta import beta_cdf, draw_weights, thresholds
from edgekd.images.views.counter import random_bits


@pytest.mark.parametrize("x", [0.0, 0.01, 0.25, 0.5, 0.7, 0.99, 1.0])
def test_shares_are_those_that_have_a_formula(x: float) -> None:
    assert beta_cdf(1.0, x) == pytest.approx(x, abs=1e-12)
    assert beta_cdf(2.0, x) == pytest.approx(3 * x**2 - 2 * x**3, abs=1e-12)
    assert beta_cdf(0.5, x) == pytest.approx(2 / math.pi * math.asin(math.sqrt(x)), abs=1e-12)


@pytest.mark.parametrize(("alpha", "x", "share"), [(0.2, 0.05, 0.291025), (0.2, 0.25, 0.414056), (8.0, 0.25, 0.0173)])
def test_shares_agree_with_tables(alpha: float, x: float, share: float) -> None:
    assert beta_cdf(alpha, x) == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.001, 0.1, 0.2, 1.0, 8.0, 100.0])
def test_thresholds_rise_and_are_symmetric(alpha: float) -> None:
    table = thresholds(alpha)
    assert (np.diff(table) >= 0).all() and table[0] >= 0 and table[-1] <= 1 << 24
    assert np.abs(table + table[::-1] - (1 << 24)).max() <= 1


def test_thresholds_are_the_same_on_every_platform() -> None:
    assert thresholds(0.2)[[0, 1, 127, 128, 255]].tolist() == [2536044, 3160880, 8378153, 8399063, 14241172]


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_draws_have_the_moments_of_the_distribution(alpha: float) -> None:
    drawn = draw_weights(random_bits(0, 0, np.arange(50_000), 1)[:, 0], alpha) / 256
    assert drawn.mean() == pytest.approx(0.5, abs=0.01)
    assert drawn.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.02)


def test_draws_reach_both_ends() -> None:
    ends = np.array([0, (1 << 64) - 1], np.uint64)
    assert draw_weights(ends, 0.2).tolist() == [0, 256]
