"""How many images each class has, in words and as weights."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekd.report import Reporter

RARE = 0.1
"""A class with less than this share of the commonest class's images is worth a note."""
_SHOWN = 6


def count_images(targets: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Labelled images of each class, `[classes]`."""
    return np.bincount(targets[targets >= 0], minlength=classes)


def tell_classes(classes: Sequence[str], targets: NDArray[np.int64], report: Reporter, weighted: bool = False) -> None:
    """Say which classes there are, the least and the most training images of one, and whether that is far apart."""
    counts = count_images(targets, len(classes))
    if not counts.any():
        report.note(f"{len(targets):,} training images, none with a label")
        return
    names = ", ".join(classes[:_SHOWN]) + (f" and {len(classes) - _SHOWN} more" if len(classes) > _SHOWN else "")
    least, most = int(counts.argmin()), int(counts.argmax())
    spread = f"{counts[least]:,} ({classes[least]}) to {counts[most]:,} ({classes[most]})"
    words = f"{counts[least]:,}" if counts[least] == counts[most] else spread
    report.note(f"{len(classes)} classes: {names}; training images per class: {words}")
    if counts[least] < RARE * counts[most] and not weighted:
        report.note(
            f"class {classes[least]} has {counts[least] / counts[most]:.1%} of the images of {classes[most]}: "
            "--class-weights balanced makes rare classes count as much, and accuracy says little about them"
        )


def balanced_weights(targets: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """A weight per class, `[classes]`, inverse to its images; their mean over the labelled images is 1.

    A class without images has weight 0.
    """
    counts = count_images(targets, classes)
    present = counts > 0
    weights = np.zeros(classes, np.float32)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights
