"""Whether a model file computes what the network computes, on real images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd.cores import available_cores
from edgekd.errors import CheckFailed, CheckpointError
from edgekd.images.imageset import UNLABELLED
from edgekd.runtimes.runtime import Session, run
from edgekd.runtimes.suffixes import open_model

BATCH = 64
SPREAD = 1e-5
"""Logits that differ from image to image by less than this share of the largest prove nothing."""


@dataclass(frozen=True)
class Parity:
    """Largest and mean logit difference, relative to the largest logit, and how often the first choice agrees.

    `spread` is how far the expected and the found logits of a class vary over the images, the smaller of both, relative
    to the largest. `top1_change` is the accuracy found less the one expected; None without labels.
    """

    max_difference: float
    mean_difference: float
    top1_agreement: float
    images: int
    spread: float = 1.0
    top1_change: float | None = None


def compare(
    path: Path, inputs: NDArray[np.float32], expected: NDArray[np.float32], labels: NDArray[np.int64] | None = None
) -> Parity:
    """Run the file with ONNX Runtime on `inputs` [n, ...] and compare with logits `expected` [n, classes]."""
    return difference(answers(path, inputs), expected, labels)


def answers(path: Path, inputs: NDArray[np.float32], session: Session | None = None) -> NDArray[np.float32]:
    """What a file says of `inputs` [n, ...]: [n, classes]; `session`: the file, opened.

    Raises CheckFailed where it does not run on them.
    """
    opened = open_model(path, available_cores()) if session is None else session
    try:
        return run(opened, inputs, path)
    except CheckpointError as error:
        raise CheckFailed(error.problem, "export it again") from error


def difference(
    found: NDArray[np.float32], expected: NDArray[np.float32], labels: NDArray[np.int64] | None = None
) -> Parity:
    """Compare logits [n, classes]; `labels` [n] may hold -1 for unknown ones."""
    if found.shape != expected.shape:
        return Parity(float("nan"), float("nan"), 0.0, len(expected))
    largest = max(float(np.abs(expected).max()), 1e-12)
    off = np.abs(found - expected) / largest
    agree = found.argmax(1) == expected.argmax(1)
    spread = min(float(np.ptp(each, axis=0).max()) for each in (found, expected)) / largest
    return Parity(
        float(off.max()), float(off.mean()), float(agree.mean()), len(found), spread, _change(found, expected, labels)
    )


def _change(
    found: NDArray[np.float32], expected: NDArray[np.float32], labels: NDArray[np.int64] | None
) -> float | None:
    if labels is None or not (labels != UNLABELLED).any():
        return None
    known = labels != UNLABELLED
    right = [float((each.argmax(1) == labels)[known].mean()) for each in (found, expected)]
    return right[0] - right[1]


def check(parity: Parity, path: Path, tolerance: float) -> CheckFailed | None:
    """The failure when logits differ by more than `tolerance`, or any is not a number; None when they agree."""
    unproven = check_varied(parity, path)
    if unproven is not None:
        return unproven
    if parity.max_difference <= tolerance:
        return None
    return CheckFailed(
        f"{path}: logits differ from the network's by {parity.max_difference:.2e} of the largest (limit {tolerance:g})",
        "try another --opset; --tolerance accepts more where that is wanted",
    )


def check_varied(parity: Parity, path: Path) -> CheckFailed | None:
    """The failure when the logits are the same for every image, so that equal ones prove nothing."""
    if parity.images < 2 or not parity.spread < SPREAD:
        return None
    return CheckFailed(
        f"{path}: unproven, its logits hardly vary over {parity.images} images ({parity.spread:.1e} of the largest)",
        "export a trained network; a constant answer agrees with anything",
    )


def check_rounded(parity: Parity, path: Path, most_lost: float) -> CheckFailed | None:
    """The failure of a file of fewer bits: not a number, or its accuracy falls by more than `most_lost` (0-1).

    Without labels, the share of images whose first choice changes counts as lost.
    """
    unproven = check_varied(parity, path)
    if unproven is not None:
        return unproven
    if not np.isfinite(parity.max_difference):
        return CheckFailed(f"{path}: gives values that are no numbers", "train or export the network again")
    lost = 1 - parity.top1_agreement if parity.top1_change is None else -parity.top1_change
    if lost <= most_lost:
        return None
    return CheckFailed(
        f"{path}: {lost:.2%} of {parity.images} validation images are lost to rounding (limit {most_lost:.2%})",
        "try --calibration auto, quantisation-aware training (distill --quantize int8), or a larger --max-drop",
    )


def reject(beside: Path, path: Path) -> Path:
    """Keep a file that failed its check under a name that no command takes for a model."""
    rejected = path.with_name(f"{path.name}.rejected")
    beside.replace(rejected)
    return rejected
