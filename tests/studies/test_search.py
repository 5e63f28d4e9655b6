"""`edgekd search`, from its refusals to the page about it."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")


def test_a_search_without_limits_is_refused(cli: Any, folder: Path) -> None:
    done = cli("search", "--data", folder, "--time-limit", "1m")
    assert done.code == 2
    assert "--device" in done.err


def test_an_impossible_budget_is_refused_with_the_nearest_possible(cli: Any, folder: Path) -> None:
    done = cli("search", "--data", folder, "--time-limit", "1m", "--max-params", 50)
    assert done.code == 5
    nearest = int(done.err.split("nearest possible: --max-params ")[1].split()[0].rstrip(";"))
    assert nearest > 50
    assert not list(Path("search").glob("runs/*"))


def test_too_short_a_time_is_refused(cli: Any, folder: Path) -> None:
    done = cli("search", "--data", folder, "--time-limit", "2s", "--max-params", 12000)
    assert done.code == 2
    assert "--time-limit 60s" in done.err


@pytest.mark.slow
def test_a_search_ends_with_a_judged_student_within_its_time(cli: Any, folder: Path) -> None:
    given = ("search", "--data", folder, "--time-limit", "4m", "--max-params", 12000, "--threads", 1, "--json")
    done = cli(*given)
    assert done.code == 0, done.err
    found = done.json
    assert found["passed"] is True
    assert found["seconds"] < 1.05 * 240
    assert Path(found["winner"]["file"]).is_file()
    assert found["winner"]["params"] <= 12000
    trained = [each for each in found["trials"] if each["top1"] is not None]
    assert len(trained) >= 3
    assert all(each["params_count"] <= 12000 for each in trained)
    assert cli(*given).json["winner"] == found["winner"]
    assert cli("report", "search", "--format", "markdown").code == 0
    assert found["winner"]["model"] in Path("search/search.md").read_text()


@pytest.mark.slow
def test_a_teacher_that_is_there_is_taken_with_its_data(cli: Any, folder: Path, quick: Any) -> None:
    assert cli("train-teacher", "--model", "custom-student", "--data", folder, *quick, "--name", "mine").code == 0
    done = cli("search", "--teacher", "mine", "--time-limit", "3m", "--max-params", 12000, "--threads", 1, "--json")
    assert done.code == 0, done.err
    assert not list(Path("search/runs").glob("resnet9*"))
    records = [json.loads(each.read_text()) for each in Path("search/steps").glob("*.json")]
    assert [each["options"]["teacher"] for each in records if each["command"] == "cache-logits"] == [
        str(Path("runs/mine").absolute())
    ]
