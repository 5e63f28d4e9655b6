from pathlib import Path

import pytest

from edgekd.errors import DataError
from edgekd.writing import atomic_all


def test_of_files_that_belong_together_all_appear_or_none(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    with pytest.raises(ZeroDivisionError), atomic_all(first, second) as besides:
        besides[0].write_text("whole")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with atomic_all(first, second) as besides:
        for beside, text in zip(besides, ("1", "2"), strict=True):
            beside.write_text(text)
    assert (first.read_text(), second.read_text()) == ("1", "2") and len(list(tmp_path.iterdir())) == 2
    second.unlink()
    second.mkdir()
    with pytest.raises(DataError, match="second: there is something"), atomic_all(first, second) as besides:
        for beside in besides:
            beside.write_text("3")
    assert first.read_text() == "1"
