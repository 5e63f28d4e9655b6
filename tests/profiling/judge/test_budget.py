"""Limits against figures."""

from typing import Any

import pytest

from edgekd.config import Budget
from edgekd.profiling.device.profiles import find_device
from edgekd.profiling.judge.budget import BudgetLimits, judge, latency_bound, merge, passed
from edgekd.profiling.measure.quantiles import summarise

MODEL: dict[str, Any] = {
    "size_bytes": 2_000_000,
    "params": 11_444,
    "macs": None,
    "accuracy": None,
    "record": {"top1": 0.7, "train_seconds": 90.0},
}


def figures(times: list[float]) -> dict[str, Any]:
    return {
        "batch": 1,
        "threads": 4,
        "runs": len(times),
        "latency_ms": summarise(times),
        "memory_mb": {"peak": 60.0},
    }


def verdict(budget: Budget, times: list[float] | None = None) -> dict[str, str]:
    checks = judge(BudgetLimits(budget, 1), MODEL, figures(times or [1.0] * 200))
    return {check.limit: check.verdict for check in checks}


@pytest.mark.parametrize(
    ("limit", "keeps", "misses"),
    [
        ("max_latency_ms", 1.0, 0.99),
        ("max_rss_mb", 60.0, 59.0),
        ("max_size_mb", 2.0, 1.9),
        ("min_top1", 0.7, 0.71),
        ("max_params", 11_444, 11_443),
        ("max_train_minutes", 1.5, 1.4),
    ],
)
def test_each_limit_passes_and_fails(limit: str, keeps: float, misses: float) -> None:
    assert verdict(Budget(**{limit: keeps})) == {limit: "PASS"}
    assert verdict(Budget(**{limit: misses})) == {limit: "FAIL"}


def test_what_is_not_known_is_no_pass() -> None:
    checks = judge(BudgetLimits(Budget(max_macs=1e9), 1), MODEL, figures([1.0] * 200))
    assert checks[0].verdict == "UNKNOWN"
    assert passed(checks) is False


def test_without_limits_there_is_no_verdict() -> None:
    assert passed(judge(BudgetLimits(Budget(), 1), MODEL, figures([1.0] * 200))) is None


def test_accuracy_measured_here_wins_over_the_recorded() -> None:
    model = MODEL | {"accuracy": {"top1": 0.6, "images": 100}}
    (check,) = judge(BudgetLimits(Budget(min_top1=0.65), 1), model, figures([1.0] * 200))
    assert (check.value, check.verdict, check.margin) == (0.6, "FAIL", pytest.approx(-0.05))


def test_the_upper_bound_is_judged_not_the_percentile() -> None:
    # 130 runs, one slow: p95 is 1 ms, but its 99 % bound is the slowest run
    times = [1.0] * 129 + [50.0]
    assert figures(times)["latency_ms"]["percentiles"]["p95"]["value"] == 1.0
    assert verdict(Budget(max_latency_ms=10), times) == {"max_latency_ms": "FAIL"}


def test_too_few_runs_are_judged_by_the_slowest() -> None:
    value, note = latency_bound(figures([1.0] * 50 + [3.0]), 95.0)
    assert value == 3.0
    assert note == "judged by the slowest of 51 runs: p95 needs 130"


def test_the_margin_is_a_share_of_the_limit() -> None:
    (check,) = judge(BudgetLimits(Budget(max_rss_mb=80), 1), MODEL, figures([1.0] * 200))
    assert check.margin == 0.25
    assert check.as_dict()["margin"] == 0.25


def test_a_flag_wins_over_the_profile() -> None:
    limits = merge(Budget(max_latency_ms=5), find_device("raspberry-pi-4"), None)
    assert limits.stated == {"max_latency_ms": 5, "max_rss_mb": 400, "max_size_mb": 50}
    assert limits.percentile == 95


@pytest.mark.parametrize(
    ("flags", "device", "batches", "expected"),
    [
        (Budget(), None, None, 1),
        (Budget(), None, [8, 1], 8),
        (Budget(), "p2-constraints", None, 100),
        (Budget(), "p2-constraints", [1], 100),
        (Budget(max_latency_ms=5), "p2-constraints", [1], 1),
        (Budget(max_latency_ms=5), "p2-constraints", None, 100),
    ],
)
def test_the_batch_a_latency_is_meant_for(
    flags: Budget, device: str | None, batches: list[int] | None, expected: int
) -> None:
    assert merge(flags, find_device(device) if device else None, batches).batch == expected
