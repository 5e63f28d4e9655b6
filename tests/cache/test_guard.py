"""Who may fill and who may replace a cache at one time."""

from pathlib import Path

import pytest

from edgekd.cache.guard import guarding
from edgekd.errors import CacheError


def refuse(folder: Path, *, alone: bool) -> None:
    with pytest.raises(CacheError, match="another process"), guarding(folder, alone=alone):
        pass


def test_several_may_fill_and_none_may_replace_meanwhile(tmp_path: Path) -> None:
    with guarding(tmp_path), guarding(tmp_path):
        refuse(tmp_path, alone=True)
    with guarding(tmp_path, alone=True):
        refuse(tmp_path, alone=False)
    with guarding(tmp_path, alone=True):
        pass


def test_a_folder_that_is_not_there_is_nobodys(tmp_path: Path) -> None:
    with guarding(tmp_path / "none", alone=True), guarding(tmp_path / "none"):
        pass
