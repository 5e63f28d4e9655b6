"""A run's folder is taken only where nothing can be lost."""

from pathlib import Path

import pytest

from edgekd.errors import UsageError
from edgekd.training.claim import claim


def test_a_folder_left_by_a_command_killed_at_its_start_is_free(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "manifest.json.4711.part").touch()
    assert claim(tmp_path, "x", resume=False, overwrite=False).path == tmp_path / "x"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_other_files_is_left_alone(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "thesis.pdf").touch()
    with pytest.raises(UsageError, match="not a run"):
        claim(tmp_path, "x", resume=False, overwrite=overwrite)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_of_that_name_is_left_alone(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(UsageError, match="not a run"):
        claim(tmp_path, "x", resume=False, overwrite=overwrite)
