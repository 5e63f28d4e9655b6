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


def test_without_a_test_set_a_part_of_train_is_held_out(tree: Tree) -> None:
    report = Silent()
    data = opened(tree({"train": {"cat": 10, "dog": 10}}), report, val_fraction=0.2)
    assert [len(split) for split in (data.everything, data.train, data.val, data.test)] == [16, 12, 4, 4]
    assert "4 of train are held out" in report.notes[0]


def test_unlabelled_images_join_train_only(pets: Path, tmp_path: Path, write: Write) -> None:
    write(pets / "train" / "_unlabelled" / "a.png", 50)
    write(tmp_path / "more" / "b.png", 51)
    data = opened(pets, unlabelled=tmp_path / "more")
    assert data.train.targets.tolist().count(-1) == 2
    assert -1 not in data.val.targets
    assert data.listing.paths[-2:] == ("_unlabelled/a.png", "--unlabelled/more/b.png")
    assert data.classes == ("cat", "dog")


def test_the_shapes_take_unlabelled_images_too(tmp_path: Path, write: Write) -> None:
    for number in range(20):
        write(tmp_path / "more" / f"{number}.png", number, (40, 40))
    data = open_images(Data(limit=40, unlabelled=tmp_path / "more", canvas=16), Silent())
    unlabelled = np.flatnonzero(data.train.targets == -1)
    assert len(data.everything) == 40
    assert data.train.pixels.gather(data.train.index[unlabelled]).shape[1:] == (16, 16, 3)


def test_a_limit_counts_before_validation_and_leaves_the_test_set(pets: Path) -> None:
    data = opened(pets, limit=10)
    assert [len(split) for split in (data.everything, data.train, data.val, data.test)] == [10, 8, 2, 5]
    assert np.bincount(data.everything.targets).tolist() == [5, 5]


def test_a_corrupt_image_is_named(pets: Path) -> None:
    bad = pets / "train" / "cat" / "3.png"
    bad.write_bytes(bad.read_bytes()[:100])
    for _ in range(2):
        with pytest.raises(DataError, match=r"cat/3\.png: damaged") as caught:
            opened(pets)
        assert "--skip-bad-images" in caught.value.hint


def test_bad_images_are_left_out_and_counted(pets: Path) -> None:
    (pets / "train" / "cat" / "3.png").write_bytes(b"")
    (pets / "test" / "dog" / "0.png").write_bytes(b"no image")
    report = Silent()
    data = opened(pets, report, skip_bad_images=True)
    assert [Path(name).name for name in data.skipped] == ["3.png", "0.png"]
    assert (len(data.everything), len(data.test)) == (19, 4)
    assert "cat/3.png" not in data.listing.paths
    assert report.warnings[0].startswith("bad images left out: 2;")


def test_a_broken_link_is_a_bad_image(pets: Path) -> None:
    (pets / "train" / "cat" / "link.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"link\.png: cannot be read"):
        opened(pets)
    assert len(opened(pets, skip_bad_images=True).skipped) == 1


def test_a_class_with_bad_images_only_is_named(pets: Path) -> None:
    for path in (pets / "train" / "cat").iterdir():
        path.write_bytes(b"bad")
    with pytest.raises(DataError, match="no train images left of cat"):
        opened(pets, skip_bad_images=True)


def test_one_class_only_is_refused(tree: Tree) -> None:
    with pytest.raises(DataError, match=r"one class only \(cat\)"):
        opened(tree({"train": {"cat": 3}, "test": {"cat": 3}}))


def test_classes_that_train_lacks_are_named(tree: Tree) -> None:
    root = tree({"train": {"cat": 3, "dog": 3, "emu": 3}, "test": {"cat": 3, "dog": 3, "fox": 3}})
    with pytest.raises(DataError, match=r"test: has classes that .*train lacks: fox"):
        opened(root)


@pytest.mark.parametrize("is_empty", [True, False])
def test_a_class_without_test_images_is_told(tree: Tree, is_empty: bool) -> None:
    root = tree({"train": {"ant": 3, "cat": 3, "dog": 3}, "test": {"cat": 2, "dog": 3}})
    if is_empty:
        (root / "test" / "ant").mkdir()
    report = Silent()
    data = opened(root, report)
    assert data.test.targets.tolist() == [1, 1, 2, 2, 2]
    assert report.warnings == ["no test images of ant: the figures say nothing about this class"]


def test_a_field_set_may_lack_classes_of_the_model(tree: Tree) -> None:
    root = tree({".": {"cat": 2, "dog": 1}}, "field")
    report = Silent()
    data = open_images(Data(data=str(root)), report, ("ant", "cat", "dog"))
    assert (data.classes, data.test.targets.tolist()) == (("ant", "cat", "dog"), [1, 1, 2])
    assert report.warnings == ["no test images of ant: the figures say nothing about this class"]
    with pytest.raises(DataError, match="has classes that the model lacks: dog"):
        open_images(Data(data=str(root)), report, ("ant", "cat"))


def test_a_field_set_needs_no_train(tree: Tree) -> None:
    root = tree({"Testing": {"cat": 2}}, "field")
    data = open_images(Data(data=str(root)), Silent(), ("ant", "cat"))
    assert data.test.targets.tolist() == [1, 1]


def test_pictures_that_cannot_be_opened_are_a_warning(pets: Path) -> None:
    for number in range(3):
        (pets / "train" / "cat" / f"{number}.heic").write_text("no image")
    (pets / "test" / "cat" / "notes.txt").write_text("no image")
    (pets / "unused").mkdir()
    report = Silent()
    opened(pets, report)
    assert report.warnings == ["images of kinds that are not read: 3 .heic; convert them to JPEG or PNG"]
    assert report.notes == [f"not used in {pets}: unused/", "files that are not read: 1 .txt"]


def test_grey_files_make_a_grey_canvas(pets: Path) -> None:
    for path in pets.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    assert opened(pets).channels == 1
    assert opened(pets, channels="3").channels == 3


@pytest.mark.parametrize(("size", "canvas"), [(28, 32), (36, 32), (45, 48), (70, 64), (150, 64)])
def test_the_canvas_follows_the_images_up_to_64(tmp_path: Path, write: Write, size: int, canvas: int) -> None:
    for split, label in (("train", "a"), ("train", "b"), ("test", "a"), ("test", "b")):
        for number in range(2):
            write(tmp_path / "set" / split / label / f"{number}.png", number, (size + 20, size))
    report = Silent()
    assert opened(tmp_path / "set", report).canvas == canvas
    assert "--canvas" in report.notes[0]


def test_an_unlabelled_folder_without_images_is_refused(pets: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--unlabelled .*nowhere: no images"):
        opened(pets, unlabelled=tmp_path / "nowhere")
