"""A folder of images on disk: which classes and files are in it, in an order no file system decides."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

from edgekd.errors import DataError
from edgekd.images.canvas import SUFFIXES

UNLABELLED_FOLDER = "_unlabelled"
_LAYOUT = "wanted: FOLDER/train/CLASS/*.jpg and the same under test/ or val/ (or class folders alone)"


class File(NamedTuple):
    """An image file: where it is, its name in listings (relative, with /), the class it lies in."""

    path: str
    name: str
    target: int


@dataclass(frozen=True)
class Tree:
    """The images of one split's folder, sorted by name; `classes` are its class folders, sorted."""

    root: Path
    classes: tuple[str, ...]
    labelled: tuple[File, ...]
    unlabelled: tuple[File, ...]


def find_splits(root: Path) -> dict[str, Path]:
    """The folders of `train`, `val` and `test` that are there; class folders alone count as train.

    Raises DataError when there is no such folder or nothing in it.
    """
    names = {path.name for path in visible_folders(root)}
    splits: dict[str, Path] = {name: root / name for name in ("train", "val", "test") if name in names}
    if "train" in splits:
        return splits
    if splits:
        raise DataError(f"{root}: has {' and '.join(splits)} but no train", _LAYOUT)
    if not names - {UNLABELLED_FOLDER}:
        raise DataError(f"{root}: no images in class folders there", _LAYOUT)
    return {"train": root}


def read_tree(root: Path) -> Tree:
    """List one split's folder; raises DataError for a class folder without images or no class at all."""
    classes = tuple(path.name for path in visible_folders(root) if path.name != UNLABELLED_FOLDER)
    if not classes:
        raise DataError(f"{root}: no class folders there", _LAYOUT)
    labelled = [
        File(path, f"{name}/{below}", target)
        for target, name in enumerate(classes)
        for path, below in _images_of_class(root / name)
    ]
    return Tree(root, classes, _by_name(labelled), list_unlabelled(root / UNLABELLED_FOLDER))


def list_unlabelled(folder: Path, prefix: str = UNLABELLED_FOLDER) -> tuple[File, ...]:
    """All images below a folder as unlabelled ones; none when the folder is not there."""
    if not folder.is_dir():
        return ()
    return _by_name([File(path, f"{prefix}/{below}", -1) for path, below in walk(folder)])


def walk(folder: Path) -> Iterator[tuple[str, str]]:
    """Image files at any depth as (path, name below `folder` with /); links are followed once.

    Hidden files and folders and files that are no images by their name are passed over.
    """
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        below = Path(place).relative_to(folder).as_posix()
        prefix = "" if below == "." else below + "/"
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and _suffix(name) in SUFFIXES:
                yield os.path.join(place, name), prefix + name  # noqa: PTH118


def _suffix(name: str) -> str:
    return "." + name.rpartition(".")[2].lower()


def _images_of_class(folder: Path) -> list[tuple[str, str]]:
    paths = list(walk(folder))
    if not paths:
        raise DataError(
            f"{folder}: a class folder without images",
            f"put images there or remove it (image files end in {', '.join(sorted(SUFFIXES)[:6])}, ...)",
        )
    return paths


def visible_folders(root: Path) -> list[Path]:
    """The visible folders in `root`, sorted by name."""
    try:
        found = [Path(entry.path) for entry in os.scandir(root) if entry.is_dir()]
    except OSError as error:
        _refuse(error)
    return sorted((path for path in found if not path.name.startswith(".")), key=lambda path: path.name)


def _refuse(error: OSError) -> NoReturn:
    reason = {
        FileNotFoundError: "no such folder",
        NotADirectoryError: "a file, not a folder",
        PermissionError: "no permission to read it",
    }.get(type(error), error.strerror or str(error))
    raise DataError(f"{error.filename}: {reason}", _LAYOUT) from error


def _by_name(files: list[File]) -> tuple[File, ...]:
    return tuple(sorted(files, key=lambda file: file.name))
