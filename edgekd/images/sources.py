"""`--data` without torch: the embedded shapes and folders of images."""

import os
from pathlib import Path

from edgekd.config import Data
from edgekd.errors import DataError, nearest
from edgekd.images.assembly import assemble
from edgekd.images.folder import find_splits, read_tree
from edgekd.images.imageset import ImageData
from edgekd.images.shapes import open_shapes
from edgekd.images.trees import open_trees, with_unlabelled
from edgekd.report import Reporter

NAMED = ("shapes", "cifar10", "cifar100", "fashion-mnist", "food101", "imagenet")
"""Names of `--data` that win over a folder of the same name; `./cifar10` is the folder."""


def open_images(config: Data, report: Reporter) -> ImageData:
    """Open `shapes` (also when nothing is named) or a folder of the user's own images.

    Raises DataError in words for anything that cannot be used as it is.
    """
    name = config.data or "shapes"
    if name == "shapes":
        return assemble(with_unlabelled(open_shapes(config, report), config, report), config)
    if not is_folder(name):
        raise DataError(f"--data {name}: no such data set or folder", nearest(name, NAMED))
    return _open_folder(Path(name).expanduser().resolve(), config, report)


def is_folder(name: str) -> bool:
    """Whether a `--data` that is no known name means a place on disk."""
    separators = {os.sep, os.altsep or os.sep}
    return any(each in name for each in separators) or Path(name).exists()


def _open_folder(root: Path, config: Data, report: Reporter) -> ImageData:
    """Open `root/{train,val,test}/<class>/*`; a `val` alone stands in for the missing `test`."""
    trees = {name: read_tree(path) for name, path in find_splits(root).items()}
    if "test" not in trees and "val" in trees:
        trees["test"] = trees.pop("val")
    return assemble(open_trees(root.name or "images", root, trees, config, report), config)
