from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekd.config import Data
from edgekd.errors import DataError
from edgekd.images.imageset import ImageData
from edgekd.images.sources import open_images
from edgekd.report import Silent

Tree = Callable[..., Path]
Write = Callable[..., Path]


def opened(root: Path, report: Silent | None = None, **options: Any) -> ImageData:  # noqa: ANN401
    return open_images(Data(data=str(root), **options), report or Silent())


def test_a_folder_becomes_splits_in_one_numbering(pets: Path) -> None:
    data = opened(pets)
    assert (data.name, data.classes, data.canvas, data.channels) == ("pets", ("cat", "dog"), 32, 3)
    assert [len(split) for split in (data.everything, data.train, data.val, data.test)] == [20, 18, 2, 5]
    assert np.array_equal(np.sort(np.concatenate([data.train.index, data.val.index])), np.arange(20))
    assert np.array_equal(data.everything.targets[data.val.index], data.val.targets)
    assert data.listing.paths[0] == "cat/0.png"


def test_canvases_are_those_of_the_listed_files(pets: Path) -> None:
    data = opened(pets)
    rows = np.array([13, 2])
    files = [pets / "train" / data.listing.paths[row] for row in rows]
    assert np.array_equal(data.train.pixels.gather(rows), [np.asarray(Image.open(file)) for file in files])


def test_val_alone_beside_train_is_the_test_set(tree: Tree) -> None:
    data = opened(tree({"train": {"cat": 10, "dog": 10}, "val": {"cat": 3, "dog": 3}}))
    assert [len(split) for split in (data.train, data.val, data.test)] == [18, 2, 6]


def test_val_and_test_are_each_their_own(tree: Tree) -> None:
    data = opened(tree({"train": {"cat": 9, "dog": 9}, "val": {"cat": 3, "dog": 3}, "test": {"cat": 1, "dog": 1}}))
    assert [len(split) for split in (data.train, data.val, data.test)] == [18, 6, 2]
    assert data.val.pixels.shape[0] == 6


def test_a_limit_is_for_every_part(tree: Tree) -> None:
    parts = {"train": {"cat": 9, "dog": 9}, "val": {"cat": 6, "dog": 6}, "test": {"cat": 5, "dog": 5}}
    data = opened(tree(parts), limit=8)
    assert [len(split) for split in (data.train, data.val, data.test)] == [8, 8, 8]


def test_class_folders_alone_are_enough(tree: Tree) -> None:
    data = opened(tree({".": {"cat": 10, "dog": 10}}))
    assert data.classes == ("cat", "dog")
    assert len(data.test) == 2


def test_unknown_names_get_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        opened(Path("shape"))
    assert caught.value.hint == "nearest: shapes"
