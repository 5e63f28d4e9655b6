"""`--data` without torch: the embedded shapes and folders of images."""

from pathlib import Path

from edgekd.config import Data
from edgekd.images.assembly import assemble
from edgekd.images.folder import find_splits, ignored_beside, read_tree, visible_folders
from edgekd.images.imageset import ImageData
from edgekd.images.named import NO_LABELS, check_data
from edgekd.images.names import normalise
from edgekd.images.shapes import open_shapes
from edgekd.images.trees import open_trees, open_unlabelled, with_unlabelled
from edgekd.reading import at_home
from edgekd.report import Reporter

NO_CLASS = "unlabelled"
"""The one class of a network that is trained without labels; its classifier is not trained."""


def open_images(config: Data, report: Reporter, classes: tuple[str, ...] | None = None) -> ImageData:
    """Open `shapes` (also when nothing is named), a folder of the user's own images, or none but unlabelled ones.

    `classes` are those of a model that a folder other than its own is to be tried with: any may lack images, and
    all images of a folder without splits are test images. Raises DataError in words for anything that cannot be used
    as it is.
    """
    name = config.data or "shapes"
    if name == NO_LABELS:
        return assemble(open_unlabelled(config, report, classes or (NO_CLASS,)), config)
    if name == "shapes":
        return assemble(with_unlabelled(open_shapes(config, report), config, report), config)
    check_data(name)
    return _open_folder(at_home(name).resolve(), config, report, classes)


def _open_folder(root: Path, config: Data, report: Reporter, classes: tuple[str, ...] | None) -> ImageData:
    """Open `root/{train,val,test}/<class>/*`; a `val` alone stands in for the missing `test`."""
    splits = find_splits(root, needs_train=classes is None)
    ignored = ignored_beside(root, list(splits.values())) if root not in splits.values() else []
    ignored += [each for path in splits.values() for each in ignored_beside(path, visible_folders(path))]
    if ignored:
        report.note(f"not used in {root}: {', '.join(ignored[:8])}{', ...' if len(ignored) > 8 else ''}")
    trees = {name: read_tree(path, needs_images=name == "train" and classes is None) for name, path in splits.items()}
    if "test" not in trees and "val" in trees:
        trees["test"] = trees.pop("val")
    if classes is not None:
        only = next(iter(trees.values()))
        trees = {"train": only, "val": only, "test": only} | trees
    place = normalise(root.name) or "images", root
    return assemble(open_trees(place, trees, config, report, classes), config)
