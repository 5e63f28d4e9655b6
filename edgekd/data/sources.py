"""`--data` in full: public sets through torchvision, everything else torch-free from `images`."""

from edgekd.config import Data
from edgekd.data.torchvision_sets import open_set
from edgekd.errors import DataError
from edgekd.images.assembly import assemble
from edgekd.images.imageset import ImageData
from edgekd.images.named import NAMED
from edgekd.images.sources import open_images
from edgekd.report import Reporter


def open_data(config: Data, report: Reporter, classes: tuple[str, ...] | None = None) -> ImageData:
    """Open what `config.data` names (nothing: the shapes); `classes` as in `open_images`.

    Raises DataError for what cannot be used, MissingDependency for what cannot be fetched.
    """
    if config.data not in NAMED or config.data == "shapes":
        return open_images(config, report, classes)
    return assemble(open_set(config.data, config, report), config)


def check_labelled(data: ImageData, command: str) -> None:
    """Raise DataError when a command that learns from labels has none."""
    if not data.has_labels:
        raise DataError(
            f"--data {data.options['data']}: no image has a label, and {command} learns from labels",
            "give images in class folders: --data FOLDER",
        )
