"""A folder of images on disk: which classes and files are in it, in an order no file system decides."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, NoReturn

from edgekd.errors import DataError
from edgekd.images.canvas import SUFFIXES
from edgekd.images.named import LAYOUT
from edgekd.images.names import LITTER, is_made_by_program, normalise, suffix_of
from edgekd.images.splits import SPLITS, look_like_splits, split_of

UNLABELLED_FOLDER = "_unlabelled"
NOT_REGULAR = "pipes or devices"


class File(NamedTuple):
    """An image file: where it is, its name in listings (relative, with /), the class it lies in."""

    path: str
    name: str
    target: int


@dataclass(frozen=True)
class Tree:
    """The images of one split's folder, sorted by name; `classes` are its class folders, sorted.

    `passed_over` counts the files below it that are not read, by suffix.
    """

    root: Path
    classes: tuple[str, ...]
    labelled: tuple[File, ...]
    unlabelled: tuple[File, ...]
    passed_over: Counter[str] = field(default_factory=Counter)

    def renumbered(self, classes: Sequence[str]) -> "Tree":
        """The same images, their targets as places in `classes`, which has all of this tree's."""
        places = {name: place for place, name in enumerate(classes)}
        moved = (file._replace(target=places[self.classes[file.target]]) for file in self.labelled)
        return replace(self, classes=tuple(classes), labelled=tuple(moved))


def find_splits(root: Path, needs_train: bool = True) -> dict[str, Path]:
    """The folders of `train`, `val` and `test` that are there, in any usual spelling; class folders alone are train.

    Raises DataError when there is no such folder, nothing in it, or two folders for one split.
    """
    folders = [path for path in visible_folders(root) if path.name != UNLABELLED_FOLDER]
    splits: dict[str, Path] = {}
    for path in folders:
        split = split_of(path.name)
        if split is None:
            continue
        if split in splits:
            raise DataError(f"{root}: has both {splits[split].name} and {path.name}", "keep one of them, or rename it")
        splits[split] = path
    if "train" in splits and not _is_class(splits["train"], folders, splits):
        return {split: splits[split] for split in SPLITS if split in splits}
    if splits and not needs_train and not all(_has_files(path) for path in splits.values()):
        return {split: splits[split] for split in SPLITS if split in splits}
    if splits and "train" not in splits and not all(_has_files(path) for path in splits.values()):
        raise DataError(f"{root}: has {' and '.join(path.name for path in splits.values())} but no train", LAYOUT)
    if not folders:
        raise DataError(f"{root}: no images in class folders there", LAYOUT)
    return {"train": root}


def _is_class(train: Path, folders: list[Path], splits: dict[str, Path]) -> bool:
    """Whether a folder called train holds pictures of trains: images without class folders, beside other classes."""
    return len(splits) == 1 and len(folders) > 1 and _has_files(train)


def _has_files(folder: Path) -> bool:
    """Whether images lie in a folder itself, and no folders beside them."""
    return not visible_folders(folder) and any(suffix_of(entry.name) in SUFFIXES for entry in _entries(folder))


def ignored_beside(root: Path, used: Sequence[Path]) -> list[str]:
    """Names of the visible folders in `root` that are not `used`, and how many loose images lie there."""
    names = [normalise(path.name) + "/" for path in visible_folders(root) if path not in used]
    loose = sum(suffix_of(entry.name) in SUFFIXES and not entry.name.startswith(".") for entry in _entries(root))
    return names + ([f"{loose} image files in {normalise(root.name)}/ itself"] if loose else [])


def read_tree(root: Path, needs_images: bool = True) -> Tree:
    """List one split's folder.

    Raises DataError for no class at all, class folders that are splits, two of one name, or, where each class
    `needs_images`, one without.
    """
    folders = [path for path in visible_folders(root) if path.name != UNLABELLED_FOLDER]
    if not folders:
        raise DataError(f"{root}: no class folders there", LAYOUT)
    _refuse_splits(root, folders)
    passed: Counter[str] = Counter()
    found: dict[str, list[File]] = {}
    for folder in sorted(folders, key=lambda path: normalise(path.name)):
        name = normalise(folder.name)
        if name in found:
            raise DataError(
                f"{root}: two class folders are both called {name}",
                "their names differ only in how the letters are encoded: put their images into one folder",
            )
        before = passed.copy()
        images = [File(path, f"{name}/{normalise(below)}", len(found)) for path, below in walk(folder, passed)]
        if images or not needs_images:
            found[name] = images
        else:
            raise _without_images(folder, passed - before)
    unlabelled = list_unlabelled(root / UNLABELLED_FOLDER, passed=passed)
    labelled = _by_name([file for files in found.values() for file in files])
    return Tree(root, tuple(found), labelled, unlabelled, passed)


def _refuse_splits(root: Path, folders: list[Path]) -> None:
    suspects = look_like_splits([path.name for path in folders])
    # pictures of trains lie in their class folder; a split has class folders in it
    if not suspects:
        suspects = [path.name for path in folders if split_of(path.name) and visible_folders(path)]
    if suspects:
        raise DataError(
            f"{root}: {' and '.join(map(normalise, suspects))} look like splits, not classes",
            f"call them train, val and test and give the folder they lie in; {LAYOUT}",
        )


def _without_images(folder: Path, passed: Counter[str]) -> DataError:
    beside = f" (there are: {count_words(passed)})" if passed else ""
    usual = ", ".join(sorted(SUFFIXES)[:6])
    return DataError(
        f"{folder}: a class folder without images{beside}",
        f"put images there or remove it (image files end in {usual}, ...)",
    )


def count_words(passed: Counter[str]) -> str:
    """`12 .heic, 3 .txt`: the most frequent kinds first."""
    ordered = sorted(passed.items(), key=lambda item: (-item[1], item[0]))
    more = sum(count for _, count in ordered[6:])
    return ", ".join(f"{count} {kind}" for kind, count in ordered[:6]) + (f" and {more} others" if more else "")


def list_unlabelled(
    folder: Path, prefix: str = UNLABELLED_FOLDER, passed: Counter[str] | None = None
) -> tuple[File, ...]:
    """All images below a folder as unlabelled ones; none when the folder is not there."""
    if not folder.is_dir():
        return ()
    return _by_name([File(path, f"{prefix}/{normalise(below)}", -1) for path, below in walk(folder, passed)])


def walk(folder: Path, passed: Counter[str] | None = None) -> Iterator[tuple[str, str]]:
    """Image files at any depth as (path, name below `folder` with /); links are followed once.

    Hidden files and what file servers and photo programs leave are passed over; files that are no images by their
    name, pipes and devices too, counted in `passed` by suffix.
    """
    seen: set[tuple[int, int]] = set()
    places = [(os.fspath(folder), "")]
    passed = Counter() if passed is None else passed
    while places:
        place, below = places.pop()
        entries, inode = _listed(Path(place))
        if inode in seen:
            continue
        seen.add(inode)
        for entry in entries:
            if is_made_by_program(entry.name):
                continue
            if _is_folder(entry):
                places.append((entry.path, f"{below}{entry.name}/"))
            elif suffix_of(entry.name) not in SUFFIXES:
                if entry.name.lower() not in LITTER:
                    passed[suffix_of(entry.name) or "without suffix"] += 1
            elif os.path.isfile(entry.path) or not os.path.exists(entry.path):  # noqa: PTH110, PTH113 - they raise nothing
                # a broken link is an image that cannot be read, and told as one
                yield entry.path, below + entry.name
            else:
                passed[NOT_REGULAR] += 1


def visible_folders(root: Path) -> list[Path]:
    """The folders in `root` that are neither hidden nor a program's own, sorted by name."""
    found = [Path(entry.path) for entry in _entries(root) if not is_made_by_program(entry.name) and _is_folder(entry)]
    return sorted(found, key=lambda path: path.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or leads to one; a link that leads nowhere or to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    return _listed(folder)[0]


def _listed(folder: Path) -> tuple[list[os.DirEntry[str]], tuple[int, int]]:
    """What is in a folder, and what it is by device and inode; raises DataError."""
    try:
        status = folder.stat()
        with os.scandir(folder) as entries:
            return list(entries), (status.st_dev, status.st_ino)
    except OSError as error:
        _refuse(error)


def _refuse(error: OSError) -> NoReturn:
    reason = {
        FileNotFoundError: "no such folder",
        NotADirectoryError: "a file, not a folder",
        PermissionError: "no permission to read it",
    }.get(type(error), error.strerror or str(error))
    raise DataError(f"{error.filename}: {reason}", LAYOUT) from error


def _by_name(files: list[File]) -> tuple[File, ...]:
    ordered = sorted(files, key=lambda file: file.name)
    for one, other in zip(ordered, ordered[1:], strict=False):
        if one.name == other.name:
            raise DataError(
                f"{one.path} and {other.path}: both are called {one.name}",
                "their names differ only in how the letters are encoded: rename one",
            )
    return tuple(ordered)
