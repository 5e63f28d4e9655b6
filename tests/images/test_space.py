import os
from pathlib import Path

import pytest

from edgekd.images.space import GB, cache_root, fits_memory, has_room


def kept(root: Path, name: str, size_bytes: int, age: int) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "canvases.npy").write_bytes(bytes(size_bytes))
    os.utime(folder, ns=(age, age))
    return folder


def test_the_longest_unused_makes_way(tmp_path: Path) -> None:
    old, middle, new = (kept(tmp_path, name, 1000, age) for name, age in (("c", 1), ("a", 2), ("b", 3)))
    assert has_room(tmp_path / "d", 1000, 3500 / GB)
    assert [folder.exists() for folder in (old, middle, new)] == [False, True, True]


def test_what_is_larger_than_the_budget_removes_nothing(tmp_path: Path) -> None:
    old = kept(tmp_path, "a", 1000, 1)
    assert not has_room(tmp_path / "d", 4000, 3500 / GB)
    assert old.exists()


def test_a_place_that_cannot_be_written_has_no_room(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert not has_room(tmp_path / "file" / "d", 10, 1)


def test_the_cache_folder_can_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKD_CACHE", "/somewhere")
    assert cache_root() == Path("/somewhere")
    monkeypatch.setenv("EDGEKD_CACHE", "")
    assert cache_root() == Path.home() / ".cache" / "edgekd"


def test_memory_is_never_filled() -> None:
    assert fits_memory(1000)
    assert not fits_memory(1 << 60)
