"""Every `--data`: torchvision's sets and what edgekd.images opens."""

from edgekd.config import Data
from edgekd.images.imageset import ImageData
from edgekd.images.sources import open_images
from edgekd.report import Reporter


def open_data(config: Data, report: Reporter) -> ImageData:
    """The data set asked for."""
    return open_images(config, report)
