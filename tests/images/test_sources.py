import json
import shutil
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


def test_without_a_test_set_a_part_of_train_is_held_out(tree: Tree) -> None:
    report = Silent()
    data = opened(tree({"train": {"cat": 10, "dog": 10}}), report, val_fraction=0.2)
    assert [len(split) for split in (data.everything, data.train, data.val, data.test)] == [16, 12, 4, 4]
    assert "4 of train are held out" in report.notes[0]


def test_class_folders_alone_are_enough(tree: Tree) -> None:
    data = opened(tree({".": {"cat": 10, "dog": 10}}))
    assert data.classes == ("cat", "dog")
    assert len(data.test) == 2


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


def test_classes_that_differ_are_named(tree: Tree) -> None:
    root = tree({"train": {"cat": 3, "dog": 3, "emu": 3}, "test": {"cat": 3, "dog": 3, "fox": 3}})
    with pytest.raises(DataError, match=r"only in .*train: emu; only in .*test: fox"):
        opened(root)


def test_a_single_image_per_class_leaves_none_for_validation(tree: Tree) -> None:
    with pytest.raises(DataError, match="no class has two training images"):
        opened(tree({"train": {"cat": 1, "dog": 1}, "test": {"cat": 1, "dog": 1}}))


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


def test_unknown_names_get_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        opened(Path("shape"))
    assert caught.value.hint == "nearest: shapes"


def test_an_unlabelled_folder_without_images_is_refused(pets: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--unlabelled .*nowhere: no images"):
        opened(pets, unlabelled=tmp_path / "nowhere")
