import numpy as np
import pytest

from edgekd.training.gain import Gain, gain_of, interval


def test_the_interval_of_one_seed_is_that_of_the_images() -> None:
    # of 400 images 40 are won and 20 lost: sd of a difference sqrt(0.15 - 0.05^2), so 0.05 +- 1.96 * 0.0192
    differences = np.zeros((1, 400))
    differences[0, :40], differences[0, 40:60] = 1, -1
    mean, low, high = interval(differences)
    assert (mean, low, high) == pytest.approx((0.05, 0.0124, 0.0876), abs=0.004)


def test_seeds_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    alike = (rng.random((3, 2_000)) < 0.1).astype(float)
    apart = alike.copy()
    apart[0] = 0
    widths = [high - low for _, low, high in (interval(alike), interval(apart))]
    assert widths[1] > 2 * widths[0]


def test_a_gain_in_words() -> None:
    rng = np.random.default_rng(0)
    alone = [rng.random(500) < 0.5 for _ in range(2)]
    same = gain_of(alone, alone)
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    assert str(Gain(0.019, 0.0071, 0.031, 3, 500)) == "+1.9 [0.7, 3.1], 3 seeds"
    assert gain_of([each | True for each in alone], alone).mean == pytest.approx(1 - np.mean(alone))
