from pathlib import Path
from typing import Any

import pytest

from edgekd.cli.commands import COMMANDS
from edgekd.config import FitAll


def test_a_class_with_one_image_is_refused(cli: Any, tmp_path: Path, own_folder: Path) -> None:
    for path in sorted((own_folder / "train" / "disc").iterdir())[1:]:
        path.unlink()
    done = cli("fit", "--data", own_folder, "--time-limit", "90s")
    assert done.code == 3
    assert "disc" in done.err


def test_too_short_a_time_is_refused_before_any_training(cli: Any, folder: Path) -> None:
    done = cli("fit", "--data", folder, "--time-limit", "3s")
    assert done.code == 2
    assert "too short" in done.err
    assert not list(Path("fit").glob("runs/*"))


@pytest.mark.parametrize(("limit", "module"), [("3m", "fit"), ("1199s", "fit"), ("20m", "fit_by_search")])
def test_from_20_minutes_on_the_student_is_searched_for(limit: str, module: str) -> None:
    assert COMMANDS["fit"].recipe(FitAll(time_limit=limit)) == f"studies.{module}"


@pytest.mark.slow
def test_time_that_the_plan_cannot_keep_is_refused_before_any_training(
    cli: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekd.studies.teaching.LEAST_LIMIT", 1.0)
    done = cli("fit", "--data", folder, "--time-limit", "20s")
    assert done.code == 2
    needed = float(done.err.split("give --time-limit ")[1].split("s or more")[0])
    assert needed > 20
    assert not list(Path("fit").glob("runs/*"))


@pytest.mark.slow
def test_few_images_still_end_with_a_judged_model(cli: Any, tmp_path: Path, folder: Path) -> None:
    done = cli("fit", "--data", folder, "--time-limit", "2m", "--json")
    assert done.code == 0, done.err
    assert "few training images" in done.err
    assert Path(done.json["places"]["export"]).is_file()
    assert done.json["passed"] is True
    assert done.json["seconds"] < 1.05 * 120 + 5
    again = cli("fit", "--data", folder, "--time-limit", "2m", "--json")
    assert again.json["places"] == done.json["places"]
