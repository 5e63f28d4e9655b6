import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekd.errors import DataError
from edgekd.images.folder import NOT_REGULAR, find_splits, ignored_beside, list_unlabelled, read_tree

Write = Callable[..., Path]


def test_files_are_listed_by_name_with_their_class(pets: Path) -> None:
    tree = read_tree(pets / "test")
    assert tree.classes == ("cat", "dog")
    assert [(file.name, file.target) for file in tree.labelled] == [
        ("cat/0.png", 0),
        ("cat/1.png", 0),
        ("dog/0.png", 1),
        ("dog/1.png", 1),
        ("dog/2.png", 1),
    ]


def test_nested_files_count_and_hidden_ones_do_not(pets: Path, write: Write) -> None:
    write(pets / "test" / "cat" / "indoors" / "9.JPG")
    write(pets / "test" / "cat" / ".thumbs" / "1.png")
    write(pets / "test" / "cat" / "._0.png")
    (pets / "test" / "cat" / "notes.txt").write_text("none")
    (pets / "test" / ".git").mkdir()
    names = [file.name for file in read_tree(pets / "test").labelled]
    assert "cat/indoors/9.JPG" in names
    assert len(names) == 6


def test_links_in_a_circle_end(pets: Path) -> None:
    (pets / "test" / "cat" / "again").symlink_to(pets / "test" / "cat")
    assert len(read_tree(pets / "test").labelled) == 5


def test_class_folders_alone_are_train(pets: Path) -> None:
    assert find_splits(pets) == {"train": pets / "train", "test": pets / "test"}
    assert find_splits(pets / "train") == {"train": pets / "train"}


def test_unlabelled_images_are_no_class(pets: Path, write: Write) -> None:
    write(pets / "train" / "_unlabelled" / "deep" / "x.png")
    tree = read_tree(pets / "train")
    assert tree.classes == ("cat", "dog")
    assert [(file.name, file.target) for file in tree.unlabelled] == [("_unlabelled/deep/x.png", -1)]
    assert list_unlabelled(pets / "nowhere") == ()


def test_an_empty_class_folder_is_named(pets: Path) -> None:
    (pets / "train" / "hamster").mkdir()
    with pytest.raises(DataError, match="hamster: a class folder without images"):
        read_tree(pets / "train")


def test_places_that_are_no_data_are_told_apart(tmp_path: Path, pets: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("text")
    cases = {"empty": "no images", "file": "not a folder", "nowhere": "no such folder"}
    for name, words in cases.items():
        with pytest.raises(DataError, match=words):
            find_splits(tmp_path / name)


def test_a_test_folder_without_train_is_refused(tree: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="has test but no train"):
        find_splits(tree({"test": {"cat": 1, "dog": 1}}))


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("Training", "Validation", "Testing"), ("TRAIN", "valid", "Test"), ("train_set", "dev", "test-images")],
)
def test_splits_in_usual_spellings(tree: Callable[..., Path], train: str, val: str, test: str) -> None:
    root = tree({name: {"cat": 1, "dog": 1} for name in (train, val, test)})
    assert find_splits(root) == {"train": root / train, "val": root / val, "test": root / test}


def test_two_folders_for_one_split_are_refused(tree: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="has both Training and train"):
        find_splits(tree({name: {"cat": 1, "dog": 1} for name in ("train", "Training")}))


@pytest.mark.parametrize("names", [("seg_train", "seg_test"), ("pets-train", "pets-val", "notes"), ("train", "test")])
def test_splits_are_no_classes(tree: Callable[..., Path], names: tuple[str, ...]) -> None:
    root = tree({".": dict.fromkeys(names, 1)})
    with pytest.raises(DataError, match="look like splits, not classes"):
        read_tree(root)


def test_a_split_below_a_split_is_no_class(tree: Callable[..., Path]) -> None:
    root = tree({"train/train": {"cat": 1, "dog": 1}, "train": {"emu": 1}})
    with pytest.raises(DataError, match="train look like splits"):
        read_tree(root / "train")


def test_pictures_of_trains_are_a_class(tree: Callable[..., Path]) -> None:
    root = tree({".": {"bus": 2, "car": 2, "train": 2}})
    assert find_splits(root) == {"train": root}
    assert read_tree(root).classes == ("bus", "car", "train")


def test_what_lies_beside_is_named(pets: Path, write: Write) -> None:
    (pets / "notes").mkdir()
    write(pets / "cover.png")
    splits = find_splits(pets)
    assert ignored_beside(pets, list(splits.values())) == ["notes/", "1 image files in pets/ itself"]


def test_files_that_are_not_read_are_counted_by_kind(pets: Path) -> None:
    for name in ("a.HEIC", "b.heic", "notes.txt", "README", "Thumbs.db", ".DS_Store"):
        (pets / "train" / "cat" / name).write_text("no image")
    os.mkfifo(pets / "train" / "cat" / "pipe.png")
    (pets / "train" / "dog" / "zero.png").symlink_to("/dev/zero")
    tree = read_tree(pets / "train")
    assert tree.passed_over == {".heic": 2, ".txt": 1, "without suffix": 1, NOT_REGULAR: 2}
    assert len(tree.labelled) == 20


def test_a_broken_link_is_an_image_that_cannot_be_read(pets: Path) -> None:
    (pets / "train" / "cat" / "gone.png").symlink_to("nowhere.png")
    assert "cat/gone.png" in [file.name for file in read_tree(pets / "train").labelled]


@pytest.mark.parametrize("name", ["@eaDir", "__MACOSX", "#recycle", ".@__thumb", "lost+found", "Previews.lrdata"])
def test_folders_of_programs_are_neither_classes_nor_images(pets: Path, write: Write, name: str) -> None:
    write(pets / "train" / name / "1.png")
    write(pets / "train" / "cat" / name / "2.png")
    write(pets / "train" / "cat" / "SYNOPHOTO_THUMB_M.jpg")
    tree = read_tree(pets / "train")
    assert tree.classes == ("cat", "dog")
    assert len(tree.labelled) == 20


def test_a_name_that_is_no_utf8_is_escaped_once(pets: Path) -> None:
    os.rename(pets / "train" / "cat", os.fsencode(pets / "train") + b"/caf\xe9")  # noqa: PTH104 - bytes
    tree = read_tree(pets / "train")
    assert tree.classes == ("caf\\xe9", "dog")
    assert tree.labelled[0].name == "caf\\xe9/0.png"
    assert Path(tree.labelled[0].path).is_file()


def test_letters_are_composed(pets: Path) -> None:
    (pets / "train" / "cat").rename(pets / "train" / "cafe\u0301")
    assert read_tree(pets / "train").classes == ("caf\u00e9", "dog")
    (pets / "train" / "dog").rename(pets / "train" / "caf\u00e9")
    with pytest.raises(DataError, match="two class folders are both called caf\u00e9"):
        read_tree(pets / "train")


def test_targets_follow_the_classes_given(pets: Path) -> None:
    tree = read_tree(pets / "test").renumbered(("ant", "cat", "dog"))
    assert [file.target for file in tree.labelled] == [1, 1, 2, 2, 2]


def test_links_to_themselves_and_out_of_reach_are_images_that_cannot_be_read(pets: Path) -> None:
    (pets / "train" / "cat" / "self.png").symlink_to(pets / "train" / "cat" / "self.png")
    (pets / "train" / "self").symlink_to(pets / "train" / "self")
    tree = read_tree(pets / "train")
    assert tree.classes == ("cat", "dog")
    assert "cat/self.png" in [file.name for file in tree.labelled]
