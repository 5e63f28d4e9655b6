"""Who wins."""

from typing import Any

from edgekd.profiling.judge.comparison import pick_winner, top1_of


def model(name: str, latency: float, top1: float | None = None, passed: bool | None = None) -> dict[str, Any]:
    record = {} if top1 is None else {"top1": top1}
    judged = {"latency_ms": latency}
    return {"name": name, "judged": judged, "record": record, "accuracy": None, "passed": passed}


def winner(*models: dict[str, Any]) -> tuple[str, str] | None:
    found = pick_winner(models)
    return (found["name"], found["reason"]) if found else None


def test_the_most_accurate_within_the_limits_wins() -> None:
    found = winner(model("a", 1, 0.7, True), model("b", 5, 0.8, True), model("c", 9, 0.9, False))
    assert found == ("b", "the most accurate of those within the limits")


def test_equal_accuracy_is_decided_by_latency() -> None:
    assert (winner(model("a", 2, 0.7), model("b", 1, 0.7)) or "")[0] == "b"


def test_without_accuracies_the_fastest_wins() -> None:
    assert winner(model("a", 2, 0.7), model("b", 1)) == ("b", "the fastest of those measured")


def test_nobody_wins_alone_or_when_all_fail() -> None:
    assert winner(model("a", 1, 0.7)) is None
    assert winner(model("a", 1, 0.7, False), model("b", 1, 0.7, False)) is None


def test_accuracy_measured_here_comes_first() -> None:
    assert top1_of(model("a", 1, 0.7) | {"accuracy": {"top1": 0.5}}) == 0.5
