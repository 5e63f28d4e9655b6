"""A time limit over several processes, and what is decided once."""

import json
import time
from pathlib import Path

import pytest

from edgekd.errors import UsageError
from edgekd.studies.clock import OWN_START, Clock, together
from edgekd.studies.decisions import Decisions


def test_time_side_by_side_counts_once() -> None:
    assert together([(0, 10), (5, 12), (20, 21)]) == 13
    assert together([(5, 6), (0, 10)]) == 10
    assert together([]) == 0


def test_what_a_killed_process_took_counts(tmp_path: Path) -> None:
    now = time.time()
    (tmp_path / "elsewhere-1-0.json").write_text(json.dumps({"began": now - 100, "last": now - 70}))
    with Clock(tmp_path, 60) as clock:
        spent = 30 + OWN_START
        assert spent <= clock.spent() < spent + 1
        assert clock.left() == pytest.approx(60 - spent, abs=1)
        assert clock.deadline(20) - time.monotonic() == pytest.approx(40 - spent, abs=1)
    [own] = [each for each in tmp_path.iterdir() if each.name != "elsewhere-1-0.json"]
    written = json.loads(own.read_text())
    assert now - OWN_START <= written["began"] < written["last"] <= time.time()


def test_a_decision_is_made_once(tmp_path: Path) -> None:
    decisions = Decisions(tmp_path / "plan")
    assert decisions.decide("time", lambda: {"seconds": 3}) == {"seconds": 3}
    assert Decisions(tmp_path / "plan").decide("time", lambda: {"seconds": 4}) == {"seconds": 3}


def test_other_options_are_refused_by_name(tmp_path: Path) -> None:
    decisions = Decisions(tmp_path / "work" / "plan")
    decisions.hold({"data": "photos", "batch_size": 3}, "search")
    decisions.hold({"batch_size": 3, "data": "photos"}, "search")
    with pytest.raises(UsageError) as error:
        decisions.hold({"data": "photos", "batch_size": 4}, "search")
    assert "--batch-size 4" in error.value.problem
    assert "begun with 3" in error.value.problem
