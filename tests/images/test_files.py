import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import DataError
from edgekd.images import files as module
from edgekd.images.decoder import Files, Form
from edgekd.images.files import Opened, open_files
from edgekd.images.pixels import Array
from edgekd.report import Silent

FORM = Form(16, 3)
Write = Callable[..., Path]


@pytest.fixture
def paths(tmp_path: Path, write: Write) -> list[str]:
    return [str(write(tmp_path / "set" / f"{number}.png", number)) for number in range(40)]


def opened(paths: list[str], budget_gb: float = 1.0) -> Opened:
    return open_files(Path(paths[0]).parent, paths, FORM, budget_gb, Silent())


def canvases(found: Opened) -> np.ndarray:
    return found.pixels.gather(np.arange(found.pixels.shape[0]))


def arrays(cache_folder: Path) -> list[Path]:
    return sorted(cache_folder.glob("decoded/*/*.npy"))


def test_the_second_start_reads_no_image(paths: list[str], cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(paths)
    monkeypatch.setattr("edgekd.images.decoder.decode", None)
    again = opened(paths)
    assert np.array_equal(canvases(again), canvases(first))
    assert again.examined == first.examined


def test_only_changed_and_new_images_are_read(paths: list[str], write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    before = canvases(opened(paths))
    write(Path(paths[3]), 999)
    os.utime(paths[3], ns=(1, 1))
    more = [*paths, str(write(Path(paths[0]).with_name("new.png"), 7))]
    read: list[str] = []
    examine = module.examine
    monkeypatch.setattr("edgekd.images.decoded.examine", lambda some, *rest: read.extend(some) or examine(some, *rest))
    after = canvases(opened(more))
    assert read == [paths[3], more[-1]]
    assert np.flatnonzero((after[:40] != before).any(axis=(1, 2, 3))).tolist() == [3]


def test_a_part_asked_for_does_not_lose_the_rest(paths: list[str], cache_folder: Path) -> None:
    opened(paths[:10])
    opened(paths[5:])
    assert np.load(arrays(cache_folder)[0], mmap_mode="r").shape[0] == 40
    assert len(arrays(cache_folder)) == 1


def test_removed_files_leave_the_copy(paths: list[str], cache_folder: Path, write: Write) -> None:
    opened(paths)
    Path(paths[0]).unlink()
    opened([*paths[1:], str(write(Path(paths[0]).with_name("new.png"), 7))])
    assert np.load(arrays(cache_folder)[0], mmap_mode="r").shape[0] == 40


@pytest.mark.parametrize("victim", ["*.npy", "listing.json"])
def test_a_torn_copy_is_made_again(paths: list[str], cache_folder: Path, victim: str) -> None:
    before = canvases(opened(paths))
    [path] = cache_folder.glob(f"decoded/*/{victim}")
    path.write_bytes(path.read_bytes()[:200])
    assert np.array_equal(canvases(opened(paths)), before)


def test_without_a_budget_nothing_is_written(paths: list[str], cache_folder: Path) -> None:
    opened(paths, budget_gb=0)
    assert not cache_folder.exists()


def test_what_fits_nowhere_is_decoded_when_asked_for(
    paths: list[str], monkeypatch: pytest.MonkeyPatch, cache_folder: Path
) -> None:
    expected = canvases(opened(paths))
    monkeypatch.setattr(module, "fits_memory", lambda size: False)
    assert np.array_equal(canvases(opened(paths)), expected)
    monkeypatch.setenv("EDGEKD_CACHE", str(cache_folder / "other"))
    streamed = opened(paths, budget_gb=1e-9)
    assert isinstance(streamed.pixels, Files)
    assert np.array_equal(streamed.pixels.gather(np.array([5, 1])), expected[[5, 1]])
    monkeypatch.setattr(module, "examine", None)
    assert opened(paths, budget_gb=1e-9).examined == streamed.examined


def test_in_memory_when_it_fits(paths: list[str]) -> None:
    pixels = opened(paths).pixels
    assert isinstance(pixels, Array)
    assert not isinstance(pixels.array, np.memmap)


def test_a_vanished_file_is_named(paths: list[str]) -> None:
    Path(paths[2]).unlink()
    with pytest.raises(DataError, match=r"2\.png: cannot be read"):
        opened(paths)


def test_two_processes_at_once_leave_one_whole_copy(paths: list[str], cache_folder: Path) -> None:
    expected = canvases(opened(paths, budget_gb=0))
    with ProcessPoolExecutor(4) as pool:
        found = list(pool.map(_opened_canvases, [paths] * 8))
    assert all(np.array_equal(each, expected) for each in found)
    assert len(arrays(cache_folder)) == 1
    assert not list(cache_folder.glob("decoded/*/*.part"))


def _opened_canvases(paths: list[str]) -> np.ndarray:
    return canvases(opened(paths))


def _swap(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


@pytest.fixture
def bitmaps(tmp_path: Path, write: Write) -> list[str]:
    """Files of one size and one mtime, as archives unpack them."""
    found = [str(write(tmp_path / "set" / f"{number}.bmp", number, (16, 16))) for number in range(6)]
    for path in found:
        os.utime(path, ns=(1, 1))
    return found


@pytest.mark.parametrize("budget_gb", [1.0, 0.0])
def test_images_of_the_same_size_and_time_that_changed_places_are_noticed(bitmaps: list[str], budget_gb: float) -> None:
    before = opened(bitmaps)
    shown = canvases(before).copy()
    _swap(Path(bitmaps[1]), Path(bitmaps[4]))
    after = opened(bitmaps, budget_gb)
    order = [0, 4, 2, 3, 1, 5]
    assert np.array_equal(canvases(after), shown[order])
    assert after.examined == tuple(before.examined[row] for row in order)


def test_an_image_written_over_in_place_with_its_old_time_is_noticed(bitmaps: list[str], write: Write) -> None:
    before = canvases(opened(bitmaps)).copy()
    write(Path(bitmaps[2]), 99, (16, 16))
    os.utime(bitmaps[2], ns=(1, 1))
    assert np.flatnonzero((canvases(opened(bitmaps)) != before).any(axis=(1, 2, 3))).tolist() == [2]


def test_streamed_images_that_changed_places_are_noticed(bitmaps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fits_memory", lambda size: False)
    before = opened(bitmaps, budget_gb=1e-9)
    _swap(Path(bitmaps[1]), Path(bitmaps[4]))
    after = opened(bitmaps, budget_gb=1e-9)
    assert isinstance(after.pixels, Files)
    assert after.examined == tuple(before.examined[row] for row in [0, 4, 2, 3, 1, 5])


def test_images_that_only_moved_are_read_and_not_decoded(bitmaps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = canvases(opened(bitmaps)).copy()
    _swap(Path(bitmaps[0]), Path(bitmaps[1]))
    monkeypatch.setattr("edgekd.images.decoder.decode", None)
    assert np.array_equal(canvases(opened(bitmaps)), before[[1, 0, 2, 3, 4, 5]])


def test_why_there_is_no_copy_is_told(paths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = Silent()
    open_files(tmp_path, paths, FORM, 1e-9, report)
    assert "more than --decoded-cache 1e-09" in report.notes[0]
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "file" / "cache"))
    open_files(tmp_path, paths, FORM, 1.0, report)
    assert "cannot be written (the variable EDGEKD_CACHE" in report.notes[1]


@pytest.mark.parametrize("shape", [(40, 8, 8, 3), (40, 16, 16, 3)])
def test_a_copy_of_another_shape_or_type_is_made_again(
    paths: list[str], cache_folder: Path, shape: tuple[int, ...]
) -> None:
    before = canvases(opened(paths)).copy()
    np.save(arrays(cache_folder)[0], np.zeros(shape, np.float32))
    assert np.array_equal(canvases(opened(paths)), before)


@pytest.mark.parametrize("key", ["paths", "sizes", "digests", "shared", "canvases"])
@pytest.mark.parametrize("value", [7, [7], None, {"a": 1}])
def test_a_damaged_listing_is_made_again(paths: list[str], cache_folder: Path, key: str, value: object) -> None:
    before = canvases(opened(paths[:3])).copy()
    [path] = cache_folder.glob("decoded/*/listing.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    assert np.array_equal(canvases(opened(paths[:3])), before)
