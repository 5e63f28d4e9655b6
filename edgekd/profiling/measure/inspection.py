"""Beside the timing, in a child of its own: operators, parity with the export's sample, accuracy on images."""

from typing import Any

from edgekd.config import Profile
from edgekd.profiling.measure.measuring import Setting, Subject
from edgekd.profiling.measure.process import Child

TOLERANCES = {"fp32": 0.001, "fp64": 0.001, "fp16": 0.05, "bf16": 0.5, "int8": 0.5}
"""Largest difference of a logit that is put down to the CPU's kernels, by precision."""


def inspect_subject(subject: Subject, setting: Setting, config: Profile) -> dict[str, Any]:
    """The report's keys `operators`, `parity` and `accuracy`; None for what was not asked or cannot be."""
    found: dict[str, Any] = {"operators": None, "parity": None, "accuracy": None}
    if not (config.operators or subject.sample or config.images):
        return found
    sample = str(subject.sample) if subject.sample else None
    common = {"path": str(subject.file.path), "threads": setting.threads}
    with Child("edgekd.profiling.measure.inspection_process", setting.threads) as child:
        if config.operators:
            found["operators"] = child.ask(kind="operators", sample=sample, batch=setting.batch, **common)
        if sample:
            parity = child.ask(kind="parity", sample=sample, **common)
            found["parity"] = _judge_parity(parity, subject.file.precision, config.tolerance)
        if config.images:
            record, images = subject.file.record, str(config.images)
            found["accuracy"] = child.ask(kind="accuracy", record=record, images=images, **common)
    return found


def _judge_parity(parity: dict[str, Any], precision: str, tolerance: float | None) -> dict[str, Any]:
    allowed = TOLERANCES.get(precision, 0.5) if tolerance is None else tolerance
    return {**parity, "tolerance": allowed, "passed": parity["largest_difference"] <= allowed}
