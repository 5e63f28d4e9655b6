from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import DataError
from edgekd.images.decoder import Files, Form, examine, measure_all
from edgekd.report import Silent

FORM = Form(16, 3)
Write = Callable[..., Path]


@pytest.fixture
def paths(tmp_path: Path, write: Write) -> list[str]:
    return [str(write(tmp_path / f"{number}.png", number, (20 + number, 30))) for number in range(70)]


def test_canvases_come_back_in_order(paths: list[str]) -> None:
    into = np.zeros((70, 16, 16, 3), np.uint8)
    found = examine(paths, FORM, into, Silent())
    assert len({each.digest for each in found}) == 70
    assert np.array_equal(Files(tuple(paths), FORM).gather(np.array([69, 0])), into[[69, 0]])


def test_a_fault_is_told_and_its_row_stays_blank(paths: list[str]) -> None:
    Path(paths[40]).write_bytes(b"")
    into = np.zeros((70, 16, 16, 3), np.uint8)
    found = examine(paths, FORM, into, Silent())
    assert [row for row, each in enumerate(found) if each.fault] == [40]
    assert not into[40].any()


def test_measuring_passes_over_what_is_no_image(paths: list[str]) -> None:
    Path(paths[1]).write_bytes(b"no image")
    assert measure_all([*paths[:3], "nowhere.png"]) == [(20, False), (22, False)]


def test_a_streamed_file_that_went_bad_is_named(paths: list[str]) -> None:
    Path(paths[2]).write_bytes(b"gone")
    with pytest.raises(DataError, match=r"2\.png: not an image"):
        Files(tuple(paths), FORM).gather(np.array([2]))
