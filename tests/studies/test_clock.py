"""A time limit over several processes, and what is decided once."""

import json
import time
from pathlib import Path

import pytest

from edgekd.errors import UsageError
from edgekd.studies.clock import Clock, together
from edgekd.studies.decisions import Decisions


def test_time_side_by_side_counts_once() -> None:
    assert together([(0, 10), (5, 12), (20, 21)]) == 13
    assert together([(5, 6), (0, 10)]) == 10
    assert together([]) == 0


def test_what_a_killed_process_took_counts(tmp_path: Path) -> None:
    now = time.time()
    (tmp_path / "elsewhere-1-0.json").write_text(json.dumps({"began": now - 100, "last": now - 70}))
    with Clock(tmp_path, 60) as clock:
        assert 30 <= clock.spent() < 31
        assert 29 < clock.left() <= 30
        assert 9 < clock.deadline(20) - time.monotonic() <= 10
    [own] = [each for each in tmp_path.iterdir() if each.name != "elsewhere-1-0.json"]
    written = json.loads(own.read_text())
    assert now <= written["began"] <= written["last"] <= time.time()


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
