import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import DataError
from edgekd.images.decoder import LARGEST_BYTES, Files, Form, examine, measure_all, read
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
    assert np.array_equal(
        Files(tuple(paths), FORM, tuple(each.digest for each in found)).gather(np.array([69, 0])), into[[69, 0]]
    )


def test_a_fault_is_told_and_its_row_stays_blank(paths: list[str]) -> None:
    Path(paths[40]).write_bytes(b"")
    into = np.zeros((70, 16, 16, 3), np.uint8)
    found = examine(paths, FORM, into, Silent())
    assert [row for row, each in enumerate(found) if each.fault] == [40]
    assert not into[40].any()


def test_measuring_passes_over_what_is_no_image(paths: list[str]) -> None:
    Path(paths[1]).write_bytes(b"no image")
    assert [each[:3] for each in measure_all([*paths[:3], "nowhere.png"])] == [(20, 30, False), (22, 30, False)]


def test_a_streamed_file_that_went_bad_is_named(paths: list[str]) -> None:
    digests = tuple(each.digest for each in examine(paths, FORM, None, Silent()))
    Path(paths[2]).write_bytes(b"gone")
    with pytest.raises(DataError, match=r"2\.png: changed since it was listed"):
        Files(tuple(paths), FORM, digests).gather(np.array([2]))


def test_a_streamed_file_that_was_swapped_is_named(paths: list[str]) -> None:
    digests = tuple(each.digest for each in examine(paths, FORM, None, Silent()))
    Path(paths[2]).rename(paths[3])
    with pytest.raises(DataError, match=r"3\.png: changed since it was listed"):
        Files(tuple(paths), FORM, digests).gather(np.array([3]))


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: not a regular file"):
        read(str(tmp_path / "a.png"))
    with pytest.raises(DataError, match="/dev/zero: not a regular file"):
        read("/dev/zero")


def test_a_file_larger_than_any_image_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with path.open("wb") as stream:
        stream.truncate(LARGEST_BYTES + 1)
    with pytest.raises(DataError, match="more than an image may have"):
        read(str(path))


def test_known_content_is_not_decoded_again(paths: list[str]) -> None:
    [known] = examine(paths[:1], FORM, None, Silent())
    into = np.zeros((1, 16, 16, 3), np.uint8)
    row = np.full((16, 16, 3), 7, np.uint8)
    examine(paths[:1], FORM, into, Silent(), lambda digest: ("", row) if digest == known.digest else None)
    assert (into == 7).all()
