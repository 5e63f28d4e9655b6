"""Arrays from .npz files: what is there is read, what would take memory or run code is refused."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import CacheError
from edgekd.images.arrays import read_arrays


def write(path: Path, header: str, content: bytes) -> Path:
    """An .npz whose only member `a` says `header` of itself."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, eval(header))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", stream.getvalue() + content)
    return path


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("values", [np.arange(6.0).reshape(2, 3), np.array(["x", "yé"]), np.zeros((0, 3)), np.array(3)])
def test_numbers_and_texts_come_back(tmp_path: Path, values: np.ndarray, order: str) -> None:
    np.savez_compressed(tmp_path / "x.npz", a=np.array(values, order=order), b=1)
    found = read_arrays(tmp_path / "x.npz", ("a", "c"), 1e6, CacheError)
    assert list(found) == ["a"] and np.array_equal(found["a"], values) and found["a"].dtype == values.dtype
    assert found["a"].flags.writeable


def test_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.array([{}], object))
    with pytest.raises(CacheError, match="a.npy holds object"):
        read_arrays(tmp_path / "x.npz", "a", 1e6, CacheError)


@pytest.mark.parametrize("shape", ["(10**12,)", "(3,)", "(-1,)"])
def test_a_member_that_says_something_else_than_it_holds_is_refused(tmp_path: Path, shape: str) -> None:
    path = write(tmp_path / "x.npz", f"dict(descr='<f4', fortran_order=False, shape={shape})", b"\0" * 8)
    with pytest.raises(CacheError, match="x.npz: cannot be read"):
        read_arrays(path, "a", 1e15, CacheError)


def test_what_unpacks_to_more_than_is_possible_is_refused_before(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(10**6))
    with pytest.raises(CacheError, match="unpacks to 8 MB, of which 1 MB are possible here"):
        read_arrays(tmp_path / "x.npz", "a", 1e6, CacheError)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.npz")
    with pytest.raises(CacheError, match="not a regular file"):
        read_arrays(tmp_path / "x.npz", "a", 1e6, CacheError)
