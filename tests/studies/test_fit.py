from pathlib import Path
from typing import Any

import pytest


def test_a_class_with_one_image_is_refused(cli: Any, tmp_path: Path, own_folder: Path) -> None:
    for path in sorted((own_folder / "train" / "disc").iterdir())[1:]:
        path.unlink()
    done = cli("fit", "--data", own_folder, "--time-limit", "30s")
    assert done.code == 3
    assert "disc" in done.err


@pytest.mark.slow
def test_few_images_still_end_with_a_judged_model(cli: Any, tmp_path: Path, folder: Path) -> None:
    done = cli("fit", "--data", folder, "--time-limit", "2m", "--json")
    assert done.code == 0, done.err
    assert "few training images" in done.err
    assert Path(done.json["places"]["export"]).is_file()
    assert done.json["passed"] is True
