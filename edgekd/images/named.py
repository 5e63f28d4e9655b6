"""What `--data` may name, told from the name and the disk alone."""

import os
from pathlib import Path

from edgekd.config import TORCHVISION_SETS
from edgekd.errors import DataError, nearest
from edgekd.reading import at_home

NAMED = ("shapes", *TORCHVISION_SETS)
"""Names of `--data` that win over a folder of the same name; `./cifar10` is the folder."""
NO_LABELS = "none"
"""The `--data` of images that are all without labels: those of --unlabelled."""
LAYOUT = "wanted: FOLDER/train/CLASS/*.jpg and the same under test/ or val/ (or class folders alone)"


def check_data(name: str) -> None:
    """Raise DataError for a name that is neither a known data set nor a folder."""
    if name in (*NAMED, NO_LABELS):
        return
    if not is_folder(name):
        raise DataError(f"--data {name}: no such data set or folder", nearest(name, NAMED))
    place = at_home(name)
    if not place.is_dir():
        raise DataError(f"--data {name}: {'a file, not a folder' if place.exists() else 'no such folder'}", LAYOUT)


def is_folder(name: str) -> bool:
    """Whether a `--data` that is no known name means a place on disk."""
    separators = {os.sep, os.altsep or os.sep}
    return any(each in name for each in separators) or Path(name).exists()
