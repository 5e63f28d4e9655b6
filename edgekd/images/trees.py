"""Lists of image files become a data set: canvas chosen, files decoded, bad ones named."""

import itertools
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd.config import Data
from edgekd.errors import DataError
from edgekd.images.assembly import ImageSource, SplitPart
from edgekd.images.decoder import Examined, Form
from edgekd.images.files import Opened, open_files
from edgekd.images.folder import File, Tree, count_words, list_unlabelled
from edgekd.images.form import choose_form
from edgekd.images.named import NO_LABELS
from edgekd.images.names import normalise
from edgekd.images.partition import hold_out, limit
from edgekd.reading import at_home
from edgekd.report import Reporter

_OTHER_PICTURES = frozenset(
    (".heic", ".heif", ".hif", ".jxl", ".svg", ".psd", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf")
    + (".raw", ".exr", ".hdr", ".dcm", ".npy", ".ico", ".eps", ".pdf")
)
"""Kinds of pictures that are not opened, in lower case."""
_HELD_OUT_SEED = 1 << 32
"""Keeps the test images held out of train apart from the validation images."""


def open_trees(
    place: tuple[str, Path],
    trees: Mapping[str, Tree],
    config: Data,
    report: Reporter,
    classes: tuple[str, ...] | None = None,
) -> ImageSource:
    """Decode the files of `train`, `test` and, where there is one, `val`; without a test a part of train is held out.

    `place` is name and root. With `classes`, those of a model, any of them may lack images.

    Raises DataError when there are other class folders than in train, fewer than two, or a file is bad.
    """
    trees = _in_one_numbering(trees, classes, report)
    _tell_passed_over(trees, report)
    form = choose_form(trees["train"].labelled, config, report)
    name, root = place
    parts = {split: tree.labelled for split, tree in trees.items()}
    if "test" not in parts:
        parts["train"], parts["test"] = _hold_out(parts["train"], config)
        report.note(f"no test images in {root}: {len(parts['test'])} of train are held out for testing")
    parts["train"] = _limited((*parts["train"], *trees["train"].unlabelled, *_more_unlabelled(config)), config)
    gone = _leave_out(_unreadable(itertools.chain(*parts.values())), config, report)
    if gone:
        lost = set(gone)
        parts = {split: tuple(file for file in part if file.path not in lost) for split, part in parts.items()}
    files = [file for part in parts.values() for file in part]
    opened = open_files(root, [file.path for file in files], form, config.decoded_cache, report)
    skipped = gone + _leave_out(_faulty(files, opened.examined), config, report)
    found = dict(zip(parts, _cut_up(opened, files, [len(part) for part in parts.values()]), strict=True))
    if classes is None:
        _check_filled(trees["train"].classes, found, skipped)
    _tell_missing(trees, found, report)
    train, val, test = (found.get(split) for split in ("train", "val", "test"))
    assert train is not None and test is not None
    return ImageSource(name, str(root), trees["train"].classes, train, val, test, skipped, form.aspect, form.grey_bits)


def open_unlabelled(config: Data, report: Reporter, classes: tuple[str, ...]) -> ImageSource:
    """The images of --unlabelled alone: all are trained on, none is validated or tested."""
    if config.unlabelled is None:
        raise DataError("--data none: means images without labels, and no folder of such is given", "--unlabelled DIR")
    root = at_home(config.unlabelled).resolve()
    files = _limited(_more_unlabelled(config), config)
    form = choose_form(files, config, report)
    opened = open_files(root, [file.path for file in files], form, config.decoded_cache, report)
    skipped = _leave_out(_faulty(files, opened.examined), config, report)
    [train] = _cut_up(opened, files, [len(files)])
    nothing = train.take(np.empty(0, np.int64))
    name = normalise(root.name) or "images"
    return ImageSource(name, NO_LABELS, classes, train, nothing, nothing, skipped, form.aspect, form.grey_bits)


def with_unlabelled(source: ImageSource, config: Data, report: Reporter) -> ImageSource:
    """The source with the images of --unlabelled added to its training images."""
    files = _more_unlabelled(config)
    if not files:
        return source
    _, side, _, channels = source.train.pixels.shape
    paths = [file.path for file in files]
    form = Form(side, channels, config.aspect, 16 if config.grey_bits == "auto" else int(config.grey_bits))
    opened = open_files(Path(str(config.unlabelled)), paths, form, config.decoded_cache, report)
    skipped = _leave_out(_faulty(files, opened.examined), config, report)
    [part] = _cut_up(opened, files, [len(files)])
    return replace(source, train=source.train.then(part), skipped=source.skipped + skipped)


def _in_one_numbering(trees: Mapping[str, Tree], classes: tuple[str, ...] | None, report: Reporter) -> dict[str, Tree]:
    """The trees with targets by the classes of train, or by those given; raises DataError for classes beyond them."""
    train = trees["train"]
    if classes is None and len(train.classes) < 2:
        raise DataError(
            f"{train.root}: one class only ({train.classes[0]})", "a classifier needs images of two or more classes"
        )
    known = train.classes if classes is None else classes
    for tree in trees.values():
        extra = set(tree.classes) - set(known)
        if extra:
            whose = train.root if classes is None else "the model"
            raise DataError(
                f"{tree.root}: has classes that {whose} lacks: {_few(extra)}",
                f"rename or remove these folders; known: {_few(known)}",
            )
    return {split: tree.renumbered(known) for split, tree in trees.items()}


def _tell_missing(trees: Mapping[str, Tree], parts: Mapping[str, SplitPart], report: Reporter) -> None:
    """Say which classes a part has no images of; train lacks none, or is not what is asked about."""
    roots = {trees[split].root: split for split in parts if split != "train" and split in trees}
    for split in roots.values():
        missing = [name for target, name in enumerate(trees["train"].classes) if target not in parts[split].targets]
        if missing:
            it = "this class" if len(missing) == 1 else "these classes"
            report.warn(f"no {split} images of {_few(missing)}: the figures say nothing about {it}")


def _tell_passed_over(trees: Mapping[str, Tree], report: Reporter) -> None:
    """Say how many files of which kinds are not read; pictures among them are a warning."""
    passed = sum((tree.passed_over for tree in {tree.root: tree for tree in trees.values()}.values()), Counter[str]())
    pictures = Counter({kind: count for kind, count in passed.items() if kind in _OTHER_PICTURES})
    others = passed - pictures
    if pictures:
        report.warn(f"images of kinds that are not read: {count_words(pictures)}; convert them to JPEG or PNG")
    if others:
        report.note(f"files that are not read: {count_words(others)}")


def _hold_out(files: tuple[File, ...], config: Data) -> tuple[tuple[File, ...], tuple[File, ...]]:
    held = hold_out(_names(files), _targets(files), config.val_fraction, config.split_seed + _HELD_OUT_SEED)
    pairs = list(zip(files, held.tolist(), strict=True))
    return tuple(file for file, out in pairs if not out), tuple(file for file, out in pairs if out)


def _limited(files: tuple[File, ...], config: Data) -> tuple[File, ...]:
    return tuple(files[row] for row in limit(_names(files), _targets(files), config.limit).tolist())


def _more_unlabelled(config: Data) -> tuple[File, ...]:
    if config.unlabelled is None:
        return ()
    folder = at_home(config.unlabelled)
    files = list_unlabelled(folder, f"--unlabelled/{normalise(folder.resolve().name)}")
    if not files:
        raise DataError(f"--unlabelled {folder}: no images there", "give a folder with image files, at any depth")
    return files


def _leave_out(bad: Mapping[str, str], config: Data, report: Reporter) -> tuple[str, ...]:
    """Report bad files with their faults to the user; raises DataError unless they may be skipped."""
    if not bad:
        return ()
    first, fault = next(iter(bad.items()))
    if not config.skip_bad_images:
        more = f" (and {len(bad) - 1} more bad images)" if len(bad) > 1 else ""
        raise DataError(f"{first}: {fault}{more}", "mend or remove it, or leave such files out with --skip-bad-images")
    report.warn(f"bad images left out: {len(bad)}; the first: {first} ({fault})")
    return tuple(bad)


def _unreadable(files: Iterable[File]) -> dict[str, str]:
    words = "cannot be read (no permission, or a broken link)"
    return {file.path: words for file in files if not os.access(file.path, os.R_OK)}


def _faulty(files: Iterable[File], examined: Iterable[Examined]) -> dict[str, str]:
    return {file.path: each.fault for file, each in zip(files, examined, strict=True) if each.fault}


def _cut_up(opened: Opened, files: Sequence[File], sizes: list[int]) -> list[SplitPart]:
    """Consecutive parts of these sizes without the bad images."""
    hashes = tuple(each.digest for each in opened.examined)
    whole = SplitPart(opened.pixels, _names(files), hashes, _targets(files))
    good = np.array([not each.fault for each in opened.examined], bool)
    borders = np.cumsum([0, *sizes])
    return [
        whole.take(first + np.flatnonzero(good[first:last]))
        for first, last in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True)
    ]


def _check_filled(classes: tuple[str, ...], parts: Mapping[str, SplitPart], skipped: tuple[str, ...]) -> None:
    for split, part in parts.items():
        empty = {name for target, name in enumerate(classes) if not (part.targets == target).any()}
        if len(empty) == len(classes) or (empty and split == "train"):
            left_out = f" ({len(skipped)} bad images were left out)" if skipped else ""
            raise DataError(
                f"no {split} images left of {_few(empty)}{left_out}",
                "add good images" if skipped else "add images: each class needs some for training and for testing",
            )


def _names(files: Iterable[File]) -> tuple[str, ...]:
    return tuple(file.name for file in files)


def _targets(files: Iterable[File]) -> NDArray[np.int64]:
    return np.array([file.target for file in files], np.int64)


def _few(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:5]) + (f" and {len(ordered) - 5} more" if len(ordered) > 5 else "")
