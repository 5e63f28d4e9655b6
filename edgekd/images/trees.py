"""Lists of image files become a data set: canvas chosen, files decoded, bad ones named."""

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd.config import Data
from edgekd.errors import DataError
from edgekd.images.assembly import Part, Source
from edgekd.images.decoder import Examined, Form, measure_all
from edgekd.images.files import Opened, open_files
from edgekd.images.folder import File, Tree, list_unlabelled
from edgekd.images.partition import hold_out, limit
from edgekd.report import Reporter

_SAMPLE = 64
_SIDES = (32, 48, 64)
"""What a canvas is chosen from when --canvas is not given: larger ones cost more, so they have to be asked for."""
_HELD_OUT_SEED = 1 << 32
"""Keeps the test images held out of train apart from the validation images."""


def open_trees(name: str, root: Path, trees: Mapping[str, Tree], config: Data, report: Reporter) -> Source:
    """Decode the files of `train`, `test` and, where there is one, `val`; without a test a part of train is held out.

    Raises DataError when the class folders differ, are fewer than two, or a file is bad.
    """
    _check_classes(trees)
    form = _choose_form(trees["train"].labelled, config, report)
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
    classes = trees["train"].classes
    _check_filled(classes, found, skipped)
    return Source(name, str(root), classes, found["train"], found.get("val"), found["test"], skipped)


def with_unlabelled(source: Source, config: Data, report: Reporter) -> Source:
    """The source with the images of --unlabelled added to its training images."""
    files = _more_unlabelled(config)
    if not files:
        return source
    _, side, _, channels = source.train.pixels.shape
    paths = [file.path for file in files]
    opened = open_files(Path(str(config.unlabelled)), paths, Form(side, channels), config.decoded_cache, report)
    skipped = _leave_out(_faulty(files, opened.examined), config, report)
    [part] = _cut_up(opened, files, [len(files)])
    return replace(source, train=source.train.then(part), skipped=source.skipped + skipped)


def _check_classes(trees: Mapping[str, Tree]) -> None:
    train = trees["train"]
    if len(train.classes) < 2:
        raise DataError(
            f"{train.root}: one class only ({train.classes[0]})", "a classifier needs images of two or more classes"
        )
    for tree in trees.values():
        missing, extra = set(train.classes) - set(tree.classes), set(tree.classes) - set(train.classes)
        if missing or extra:
            told = [f"only in {where}: {_few(names)}" for where, names in
                    ((train.root, missing), (tree.root, extra)) if names]  # fmt: skip
            raise DataError(f"classes differ; {'; '.join(told)}", "make the class folders of both the same")


def _choose_form(files: tuple[File, ...], config: Data, report: Reporter) -> Form:
    """The canvas asked for, or one by an evenly spaced sample of the files."""
    if config.canvas is not None and config.channels != "auto":
        return Form(config.canvas, int(config.channels))
    sample = measure_all([file.path for file in files[:: -(-len(files) // _SAMPLE)]])
    short = float(np.median([side for side, _ in sample])) if sample else float(_SIDES[0])
    side = config.canvas or min(_SIDES, key=lambda each: (abs(each - short), each))
    if config.canvas is None and short != side:
        report.note(f"canvas {side}: the images are about {short:.0f} pixels; --canvas takes another size")
    grey = bool(sample) and all(grey for _, grey in sample)
    return Form(side, int(config.channels) if config.channels != "auto" else 1 if grey else 3)


def _hold_out(files: tuple[File, ...], config: Data) -> tuple[tuple[File, ...], tuple[File, ...]]:
    held = hold_out(_names(files), _targets(files), config.val_fraction, config.split_seed + _HELD_OUT_SEED)
    pairs = list(zip(files, held.tolist(), strict=True))
    return tuple(file for file, out in pairs if not out), tuple(file for file, out in pairs if out)


def _limited(files: tuple[File, ...], config: Data) -> tuple[File, ...]:
    return tuple(files[row] for row in limit(_names(files), _targets(files), config.limit).tolist())


def _more_unlabelled(config: Data) -> tuple[File, ...]:
    if config.unlabelled is None:
        return ()
    folder = Path(config.unlabelled).expanduser()
    files = list_unlabelled(folder, f"--unlabelled/{folder.resolve().name}")
    if not files:
        raise DataError(f"--unlabelled {folder}: no images there", "give a folder with image files, at any depth")
    return files


def _leave_out(bad: Mapping[str, str], config: Data, report: Reporter) -> tuple[str, ...]:
    """Paths of bad files with their faults are told to the user; raises DataError unless they may be skipped."""
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


def _cut_up(opened: Opened, files: Sequence[File], sizes: list[int]) -> list[Part]:
    """Consecutive parts of these sizes without the bad images."""
    hashes = tuple(each.digest for each in opened.examined)
    whole = Part(opened.pixels, _names(files), hashes, _targets(files))
    good = np.array([not each.fault for each in opened.examined], bool)
    borders = np.cumsum([0, *sizes])
    return [
        whole.take(first + np.flatnonzero(good[first:last]))
        for first, last in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True)
    ]


def _check_filled(classes: tuple[str, ...], parts: Mapping[str, Part], skipped: tuple[str, ...]) -> None:
    for split, part in parts.items():
        empty = {name for target, name in enumerate(classes) if not (part.targets == target).any()}
        if empty and (split == "train" or len(empty) == len(classes)):
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
