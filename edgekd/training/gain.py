"""What distilling brought: paired test answers of students distilled and alone, with a bootstrap interval."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 4_000
Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Gain:
    """Accuracy gained (1 is all of it) with its 95 % interval, over so many seeds and test images."""

    mean: float
    low: float
    high: float
    seeds: int
    images: int

    def as_dict(self) -> dict[str, Any]:
        """As a JSON object holds it."""
        return asdict(self)

    def __str__(self) -> str:
        """In points, as `+1.9 [0.7, 3.1], 3 seeds`."""
        seeds = "1 seed" if self.seeds == 1 else f"{self.seeds} seeds"
        return f"{100 * self.mean:+.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}], {seeds}"


def interval(differences: NDArray[np.float64], seed: int = 0) -> tuple[float, float, float]:
    """Mean and 95 % bootstrap interval of paired differences [seeds, images], resampling seeds and images.

    With one seed the interval is over images alone.
    """
    generator = np.random.default_rng(seed)
    seeds, images = differences.shape
    means = np.empty(RESAMPLES)
    for at in range(RESAMPLES):
        drawn = differences[generator.integers(0, seeds, seeds)].mean(0)
        means[at] = drawn[generator.integers(0, images, images)].mean()
    low, high = np.quantile(means, [0.025, 0.975])
    return float(differences.mean()), float(low), float(high)


def gain_of(distilled: Sequence[Rows], alone: Sequence[Rows]) -> Gain:
    """The gain by which test images [images] each seed's networks know, distilled and alone in the same order."""
    after, before = (np.stack(rows).astype(np.float64) for rows in (distilled, alone))
    seeds, images = after.shape
    return Gain(*interval(after - before), seeds, images)
