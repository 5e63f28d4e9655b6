"""Corrupted canvases."""

import numpy as np
import pytest

from edgekd.reporting.corruptions import KINDS, Corrupted


class Held:
    """Canvases in memory."""

    def __init__(self, canvases: np.ndarray) -> None:
        self.canvases = canvases
        self.shape = canvases.shape

    def gather(self, rows: np.ndarray) -> np.ndarray:
        return self.canvases[rows].copy()


@pytest.fixture(params=[1, 3])
def held(request: pytest.FixtureRequest) -> Held:
    rng = np.random.default_rng(0)
    return Held(rng.integers(60, 180, (4, 24, 24, request.param)).astype(np.uint8))


@pytest.mark.parametrize("kind", KINDS)
def test_a_stronger_corruption_changes_more(held: Held, kind: str) -> None:
    rows = np.arange(4)
    changes = []
    for strength in KINDS[kind][1]:
        found = Corrupted(held, kind, strength).gather(rows)
        assert found.shape == held.shape and found.dtype == np.uint8
        changes.append(np.abs(found.astype(float) - held.canvases).mean())
    assert 0 < changes[0] < changes[1] < changes[2]


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_always_corrupted_in_the_same_way(held: Held, kind: str) -> None:
    corrupted = Corrupted(held, kind, KINDS[kind][1][0])
    assert np.array_equal(corrupted.gather(np.array([2])), corrupted.gather(np.arange(4))[2:3])


def test_exact_values() -> None:
    flat = Held(np.full((2, 64, 64, 3), 100, np.uint8))
    rows = np.arange(2)
    assert (Corrupted(flat, "brighter", 1.5).gather(rows) == 150).all()
    assert (Corrupted(flat, "darker", 0.25).gather(rows) == 25).all()
    assert (Corrupted(flat, "blur", 0.05).gather(rows) == 100).all()
    noisy = Corrupted(flat, "noise", 0.08).gather(rows).astype(float)
    assert noisy.std() == pytest.approx(0.08 * 255, rel=0.05) and noisy.mean() == pytest.approx(100, abs=1)
    assert not np.array_equal(noisy[0], noisy[1])


def test_no_images_give_none() -> None:
    assert Corrupted(Held(np.zeros((3, 8, 8, 3), np.uint8)), "jpeg", 50).gather(np.arange(0)).shape == (0, 8, 8, 3)
