from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd.cache.logit_files import LogitFile, in_class_order, read_logits, rows_for
from edgekd.errors import CacheError, UsageError

LOGITS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], np.float32)
PATHS = ("a/0.png", "a/1.png", "b/0.png")


def file_of(**changes: object) -> LogitFile:
    return replace(LogitFile(Path("x.npz"), LOGITS, PATHS, None), **changes)  # type: ignore[arg-type]


def npz(place: Path, **arrays: object) -> Path:
    np.savez(place / "x.npz", **arrays)
    return place / "x.npz"


def csv(place: Path, text: str) -> Path:
    (place / "x.csv").write_text(text)
    return place / "x.csv"


def test_both_kinds_say_the_same(tmp_path: Path) -> None:
    lines = "\n".join(f"{path},{row[0]},{row[1]}" for path, row in zip(PATHS, LOGITS, strict=True))
    one = read_logits(npz(tmp_path, logits=LOGITS, paths=PATHS, classes=["a", "b"]))
    other = read_logits(csv(tmp_path, f"path,a,b\n{lines}\n"))
    assert np.array_equal(one.logits, other.logits)
    assert (one.paths, one.classes) == (other.paths, other.classes) == (PATHS, ("a", "b"))


def test_one_view_may_have_an_axis_of_its_own(tmp_path: Path) -> None:
    found = read_logits(npz(tmp_path, logits=LOGITS[None].astype(np.float64)))
    assert np.array_equal(found.logits, LOGITS) and found.paths is None


def test_rows_are_found_by_their_paths() -> None:
    assert rows_for(file_of(), ["b/0.png", "a/0.png", "a/1.png"]).tolist() == [2, 0, 1]


def test_without_paths_rows_are_in_order() -> None:
    assert rows_for(file_of(paths=None), PATHS).tolist() == [0, 1, 2]


def test_named_classes_are_put_in_order() -> None:
    assert np.array_equal(in_class_order(file_of(classes=("b", "a")), ("a", "b")), LOGITS[:, ::-1])
    assert in_class_order(file_of(), ("a", "b")) is LOGITS


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (file_of(paths=None, logits=LOGITS[:2]), "has 2 rows, the data has 3"),
        (file_of(paths=("a/0.png", "a/0.png", "a/1.png")), r"1 are listed twice \(a/0.png\)"),
        (file_of(paths=("a/0.png", "a/1.png", "c/9.png")), r"1 are no images of the data \(c/9.png\)"),
        (file_of(paths=PATHS[:2]), r"1 of the data are missing \(b/0.png\)"),
    ],
)
def test_rows_that_do_not_fit_are_named(found: LogitFile, words: str) -> None:
    with pytest.raises(CacheError, match=words):
        rows_for(found, PATHS)


@pytest.mark.parametrize(
    ("classes", "known", "words"),
    [
        (None, ("a", "b", "c"), "has 2 logits a row, the data has 3"),
        (("a", "x"), ("a", "b"), "x is none of the data's"),
    ],
)
def test_other_classes_are_named(classes: tuple[str, ...] | None, known: tuple[str, ...], words: str) -> None:
    with pytest.raises(CacheError, match=words):
        in_class_order(file_of(classes=classes), known)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"scores": LOGITS}, "`logits` is not there"),
        ({"logits": LOGITS.astype(int)}, "int64"),
        ({"logits": np.stack([LOGITS, LOGITS])}, "2 views"),
        ({"logits": LOGITS, "paths": PATHS[:2]}, "wanted are 3 texts"),
        ({"logits": np.where(LOGITS == 4, np.nan, LOGITS), "paths": PATHS}, r"1 rows .* row 1 \(a/1.png\)"),
        ({"logits": LOGITS, "paths": np.array(PATHS, object)}, "cannot be read"),
    ],
)
def test_arrays_that_mean_nothing_are_refused(tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    with pytest.raises(CacheError, match=words):
        read_logits(npz(tmp_path, **arrays))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no header"),
        ("name,a,b\n", "no header"),
        ("path,a,b\n", "no rows"),
        ("path,a,b\nx,1,2\ny,1\n", "line 3: 2 columns instead of 3"),
        ("path,a,b\nx,1,two\n", "line 2: not a number"),
    ],
)
def test_lines_that_mean_nothing_are_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(CacheError, match=words):
        read_logits(csv(tmp_path, text))


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_text("hello")
    with pytest.raises(CacheError, match="cannot be read"):
        read_logits(tmp_path / "x.npz")
    with pytest.raises(CacheError, match="no such file"):
        read_logits(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="neither"):
        read_logits(tmp_path / "x.pkl")
