"""`--data` without torch: the embedded shapes and folders of images."""

from pathlib import Path

from edgekd.config import Data
from edgekd.images.assembly import assemble
from edgekd.images.folder import find_splits, read_tree
from edgekd.images.imageset import ImageData
from edgekd.images.shapes import open_shapes
from edgekd.images.trees import open_trees, with_unlabelled
from edgekd.report import Reporter


def open_images(config: Data, report: Reporter) -> ImageData:
    """Open `shapes` (also when nothing is named) or a folder of the user's own images.

    Raises DataError in words for anything that cannot be used as it is.
    """
    if config.data in (None, "shapes"):
        return assemble(with_unlabelled(open_shapes(config, report), config, report), config)
    return open_folder(Path(str(config.data)), config, report)


def open_folder(root: Path, config: Data, report: Reporter) -> ImageData:
    """Open `root/{train,val,test}/<class>/*`; a `val` alone stands in for the missing `test`."""
    root = root.expanduser().resolve()
    trees = {name: read_tree(path) for name, path in find_splits(root).items()}
    if "test" not in trees and "val" in trees:
        trees["test"] = trees.pop("val")
    return assemble(open_trees(root.name or "images", root, trees, config, report), config)
