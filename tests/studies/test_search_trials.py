"""The trials of a search: limits, promotion, dead processes, several processes at once."""

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

optuna = pytest.importorskip("optuna")

from optuna.trial import TrialState  # noqa: E402

from edgekd.models.shape_names import shape_of  # noqa: E402
from edgekd.studies.searching.outcome import best_of, describe_trial, facts_of, front_of, lead_of  # noqa: E402
from edgekd.studies.searching.space import smallest  # noqa: E402
from edgekd.studies.searching.trials import MOST_AGAIN, Trials  # noqa: E402
from edgekd.studies.teaching import STUDENT  # noqa: E402


def accuracy(model: str, rung: int) -> float:
    """Made up: larger is better, longer is better."""
    shape = shape_of(model)
    size = 10.0 if shape is None else shape.width * shape.depth
    return 1 - 1 / size - 0.1 / (rung + 1)


def try_one(trials: Trials, widest: int = 60) -> None:
    with trials.next() as current:
        shape = shape_of(current.candidate.model)
        width = 8 if shape is None else shape.width
        fits = width <= widest
        current.know(model=current.candidate.model, fits=fits, latency_ms=float(width), params_count=width)
        current.constrain({"max_params": width / widest - 1})
        if not fits:
            trials.tell(current, None, TrialState.PRUNED)
            return
        for rung in range(3):
            top1 = accuracy(current.candidate.model, rung)
            if not current.goes_on(rung, top1) and rung < 2:
                trials.tell(current, top1, TrialState.PRUNED)
                return
        trials.tell(current, top1, TrialState.COMPLETE)


def test_the_default_student_comes_first_and_few_are_trained_to_the_end(tmp_path: Path) -> None:
    trials = Trials(tmp_path)
    for _ in range(13):
        try_one(trials)
    found = [describe_trial(each) for each in trials.all()]
    assert found[0]["params"]["model"] == STUDENT
    rungs = [each["params"]["rungs"] for each in found if each["state"] != "does not fit"]
    assert rungs[0] == 3
    assert 0 < rungs.count(3) < len(rungs)
    assert all(each["top1"] is None for each in found if each["state"] == "does not fit")
    best = best_of(found)
    assert best is not None
    assert all(lead_of(each, best) <= 0 for each in found if each["top1"] is not None)


def test_what_was_tried_is_there_for_the_next_process(tmp_path: Path) -> None:
    try_one(Trials(tmp_path))
    again = Trials(tmp_path)
    try_one(again)
    assert [each.state for each in again.all()].count(TrialState.WAITING) == 0
    assert len(again.all()) == 2


def hold(folder: Path, ready: Any) -> None:  # noqa: ANN401
    trials = Trials(folder)
    with trials.next():
        ready.set()
        time.sleep(60)


def begun(folder: Path) -> Any:  # noqa: ANN401
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=hold, args=(folder, ready))
    process.start()
    assert ready.wait(60)
    return process


def test_a_trial_at_work_is_left_alone_and_that_of_a_killed_process_is_queued_again(tmp_path: Path) -> None:
    process = begun(tmp_path)
    trials = Trials(tmp_path)
    with trials.next() as other:
        assert other.trial.number == 1
        assert other.candidate.model != STUDENT
        assert trials.all()[0].state == TrialState.RUNNING
        trials.tell(other, None, TrialState.FAIL)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with trials.next() as again:
        assert trials.all()[0].state == TrialState.FAIL
        assert again.candidate.model == STUDENT
        assert again.candidate.options == {"student": STUDENT, "alpha": 0.9, "temperature": 4.0}
        trials.tell(again, 0.5, TrialState.COMPLETE)


def test_a_trial_that_keeps_dying_is_given_up(tmp_path: Path) -> None:
    trials = Trials(tmp_path)
    for _ in range(1 + MOST_AGAIN):
        with trials.next() as current:
            assert current.candidate.model == STUDENT
    with trials.next() as current:
        assert current.candidate.model != STUDENT


def test_every_smallest_student_is_in_the_space() -> None:
    assert {shape_of(each).family for each in smallest() if shape_of(each)} == {"plain", "inverted"}


def trial(top1: float | None, latency: float, rungs: int = 1) -> dict[str, Any]:
    by_rung = [] if top1 is None else [top1] * rungs
    return {"top1": top1, "latency_ms": latency, "by_rung": by_rung, "params": {"model": "m", "rungs": rungs}}


def test_the_front_holds_what_none_beats_in_both() -> None:
    trials = [trial(0.5, 1.0), trial(0.4, 2.0), trial(0.7, 3.0), trial(None, 0.1), trial(0.7, 4.0)]
    assert front_of(trials) == [0, 2]
    assert facts_of("s", trials, {"max_size_mb": 2.0})["budget"] == {"max_size_mb": 2.0, "max_size_bytes": 2e6}


def test_trials_are_compared_after_equal_training() -> None:
    long = trial(0.6, 1.0) | {"by_rung": [0.3, 0.6]}
    assert best_of([long, trial(0.4, 2.0)]) == trial(0.4, 2.0)
    assert best_of([long, trial(0.29, 2.0)]) == long
    assert best_of([trial(None, 1.0)]) is None


@pytest.mark.slow
def test_the_200th_trial_takes_less_than_a_second_of_the_searchs_own(tmp_path: Path) -> None:
    trials, seconds = Trials(tmp_path), []
    for _ in range(200):
        began = time.perf_counter()
        try_one(trials)
        seconds.append(time.perf_counter() - began)
    assert sorted(seconds[-20:])[10] < 1
