from collections.abc import Callable
from pathlib import Path

import pytest

from edgekd.errors import DataError
from edgekd.images.folder import find_splits, list_unlabelled, read_tree

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
