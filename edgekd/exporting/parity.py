"""Whether an ONNX file computes what the network computes, on real images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd.cores import available_cores
from edgekd.errors import CheckFailed
from edgekd.profiling.session import open_session

BATCH = 64


@dataclass(frozen=True)
class Parity:
    """Largest and mean logit difference, relative to the largest logit, and how often the first choice agrees."""

    max_difference: float
    mean_difference: float
    top1_agreement: float
    images: int


def compare(path: Path, inputs: NDArray[np.float32], expected: NDArray[np.float32]) -> Parity:
    """Run the file with ONNX Runtime on `inputs` [n, C, S, S] and compare with logits `expected` [n, classes]."""
    session = open_session(path, available_cores())
    name = session.get_inputs()[0].name
    parts = [session.run(None, {name: inputs[start : start + BATCH]})[0] for start in range(0, len(inputs), BATCH)]
    found = np.concatenate(parts)
    difference = np.abs(found - expected) / max(float(np.abs(expected).max()), 1e-12)
    agree = found.argmax(1) == expected.argmax(1)
    return Parity(float(difference.max()), float(difference.mean()), float(agree.mean()), len(inputs))


def check(parity: Parity, path: Path, tolerance: float) -> CheckFailed | None:
    """The failure when logits differ by more than `tolerance`, or any is not a number; None when they agree."""
    if parity.max_difference <= tolerance:
        return None
    return CheckFailed(
        f"{path}: logits differ from the network's by {parity.max_difference:.2e} of the largest (limit {tolerance:g})",
        "try another --opset; --tolerance accepts more where that is wanted",
    )
