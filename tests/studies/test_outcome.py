from typing import Any

import pytest

from edgekd.studies.outcome import figures_of
from edgekd.studies.steps import Step


def chain_and_records(kind: str) -> tuple[list[Step], dict[str, Any]]:
    teacher = Step("train-teacher", {"model": "resnet8"})
    cache = Step("cache-logits", {}, {"teacher": teacher})
    student = Step("distill", {"student": "tiny-cnn"}, {"cache": cache})
    export = Step("export", {"quantize": kind}, {"model": student})
    files = [
        {"kind": "fp32", "test_top1": 0.9, "size_bytes": 4000},
        {"kind": "int8", "test_top1": 0.8, "size_bytes": 1000},
    ]
    exported = {"test": {"top1": 0.9}, "size_bytes": 4000} | ({"files": files} if kind != "none" else {})
    results = [
        {"test_top1": 0.95, "train_seconds": 10.0},
        {"teacher_top1": 0.97},
        {"test_top1": 0.9, "train_seconds": 5.0, "params": 10},
        exported,
    ]
    chain = [teacher, cache, student, export]
    pairs = zip(chain, results, strict=True)
    return chain, {step.digest: {"result": result, "seconds": 2.0} for step, result in pairs}


@pytest.mark.parametrize(("kind", "top1", "size"), [("none", 0.9, 4000), ("int8", 0.8, 1000)])
def test_the_file_s_figures_are_those_of_the_format_asked_for(kind: str, top1: float, size: int) -> None:
    figures = figures_of(*chain_and_records(kind))
    assert (figures["file_top1"], figures["file_bytes"]) == (top1, size)


def test_all_training_is_the_teacher_s_the_cache_s_and_the_student_s() -> None:
    figures = figures_of(*chain_and_records("none"))
    assert (figures["teacher_top1"], figures["test_top1"]) == (0.95, 0.9)
    assert (figures["train_seconds"], figures["chain_seconds"]) == (5.0, 17.0)
