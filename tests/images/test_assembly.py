import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd.config import Data
from edgekd.errors import DataError
from edgekd.images.imageset import ImageData
from edgekd.images.sources import open_images
from edgekd.report import Silent

Tree = Callable[..., Path]
Write = Callable[..., Path]


def opened(root: Path, report: Silent | None = None, **options: Any) -> ImageData:  # noqa: ANN401
    return open_images(Data(data=str(root), **options), report or Silent())


def test_options_reopen_the_same_data(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pets.parent)
    data = opened(Path("pets"), limit=12, split_seed=3)
    monkeypatch.chdir("/")
    again = open_images(Data(**json.loads(json.dumps(data.options))), Silent())
    assert again.fingerprint == data.fingerprint
    assert again.options == data.options
    assert np.array_equal(again.val.index, data.val.index)


def test_the_fingerprint_does_not_know_the_place(pets: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(pets, tmp_path / "elsewhere" / "pets")
    assert opened(moved).fingerprint == opened(pets).fingerprint


@pytest.mark.parametrize("change", ["replace", "add", "remove", "relabel", "canvas"])
def test_the_fingerprint_changes_with_the_data(pets: Path, write: Write, change: str) -> None:
    before = opened(pets).fingerprint
    first = pets / "train" / "cat" / "0.png"
    if change in ("replace", "add"):
        write(first if change == "replace" else first.with_name("new.png"), 999)
    elif change != "canvas":
        first.rename(pets / "train" / "dog" / "new.png" if change == "relabel" else pets / "gone.png")
    assert opened(pets, canvas=16 if change == "canvas" else None).fingerprint != before


def test_the_split_seed_is_no_part_of_the_fingerprint(pets: Path) -> None:
    one, other = opened(pets, split_seed=1), opened(pets, split_seed=2)
    assert one.fingerprint == other.fingerprint
    assert not np.array_equal(one.val.index, other.val.index)


def test_mean_and_spread_are_those_of_the_canvases(pets: Path) -> None:
    data = opened(pets)
    values = data.everything.pixels.gather(data.everything.index) / 255
    assert data.mean == pytest.approx(values.mean(axis=(0, 1, 2)))
    assert data.std == pytest.approx(values.std(axis=(0, 1, 2)))


def test_a_single_image_per_class_leaves_none_for_validation(tree: Tree) -> None:
    with pytest.raises(DataError, match="no class has two training images"):
        opened(tree({"train": {"cat": 1, "dog": 1}, "test": {"cat": 1, "dog": 1}}))


def test_of_few_labels_validation_gets_its_share(pets: Path) -> None:
    whole, few = opened(pets), opened(pets, label_fraction=0.5)
    assert len(few.everything) == len(whole.everything)
    assert (few.everything.targets >= 0).sum() == len(whole.everything) // 2
    assert (few.val.targets >= 0).all() and len(few.val) + len(few.train) == len(few.everything)
    assert len(few.test) == len(whole.test) and (few.test.targets >= 0).all()
    assert few.fingerprint != whole.fingerprint
    again = open_images(Data(**json.loads(json.dumps(few.options))), Silent())
    assert np.array_equal(again.everything.targets, few.everything.targets)
