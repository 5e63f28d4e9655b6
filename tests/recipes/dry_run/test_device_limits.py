"""Which limits are known before training: verdicts from a survey made by hand."""

from typing import Any

import pytest

from edgekd.profiling.judge.budget import Check
from edgekd.recipes.dry_run.device_limits import broken, judge_untrained, limits_line

CHECKS = {
    "max_latency_ms": Check("max_latency_ms", "latency p95", "ms", 50.0, 80.0, False),
    "max_params": Check("max_params", "parameters", "", 11_999.0, 11_444.0, True),
    "max_rss_mb": Check("max_rss_mb", "peak memory", "MB", 60.0, 62.0, False),
    "max_train_minutes": Check("max_train_minutes", "training time", "min", 120.0, None, None, "not known"),
    "min_top1": Check("min_top1", "top-1 accuracy", "", 0.8, None, None, "not known: give --images"),
}


def judged(*limits: str, is_device: bool | None = False, train_seconds: float = 600.0) -> dict[str, Any]:
    survey = {
        "device": {"name": "box", "title": "A box"},
        "is_device": is_device,
        "statement": "",
        "percentile": 95.0,
        "models": [{"checks": [CHECKS[limit].as_dict() for limit in limits]}],
    }
    return judge_untrained(survey, train_seconds)


@pytest.mark.parametrize(("is_device", "passed"), [(False, None), (True, False), (None, False)])
def test_a_latency_counts_unless_this_is_another_machine(is_device: bool | None, passed: bool | None) -> None:
    found = judged("max_latency_ms", is_device=is_device)
    assert found["checks"][0]["passed"] is passed and found["checks"][0]["value"] == 80.0


def test_training_decides_accuracy_and_its_own_time() -> None:
    accuracy, minutes = judged("min_top1", "max_train_minutes", train_seconds=9000)["checks"]
    assert (accuracy["passed"], accuracy["note"]) == (None, "unknown before training")
    assert (minutes["passed"], minutes["value"]) == (None, 150)


@pytest.mark.parametrize(
    ("limits", "can_meet"),
    [(("max_params",), True), (("max_params", "min_top1"), None), (("min_top1", "max_rss_mb"), False), ((), None)],
)
def test_one_broken_limit_is_enough(limits: tuple[str, ...], can_meet: bool | None) -> None:
    assert judged(*limits)["can_meet"] is can_meet


def test_the_broken_limit_is_named() -> None:
    failure = broken(judged("max_params", "max_rss_mb"), "tiny-cnn")
    assert failure is not None and failure.exit_code == 5
    assert failure.problem == "tiny-cnn cannot meet box: peak memory is 62, limit 60 MB"
    assert broken(judged("max_params", "min_top1"), "tiny-cnn") is None


def test_the_line_counts_what_is_open() -> None:
    assert "limits kept: 1; to be seen after training, or on the device: 2" in limits_line(
        judged("max_params", "max_latency_ms", "min_top1")
    )
