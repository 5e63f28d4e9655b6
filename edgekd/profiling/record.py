"""What `edgekd export` writes of a model into its file's metadata, read back with every value checked."""

import json
from pathlib import Path
from typing import Any

from edgekd.errors import CheckpointError
from edgekd.profiling.forms import COUNT, NOTHING, NUMBER, POSITIVE, SHARE, TABLE, TEXT, fault

FORMAT = 1
"""Version of the metadata that this edgekd reads."""

Record = dict[str, Any]

_FORMS: Record = {
    "format": COUNT,
    "model": TEXT,
    "classes": [TEXT],
    "channels": COUNT,
    "input_size": COUNT,
    "canvas": COUNT,
    "mean": [NUMBER],
    "std": [POSITIVE],
    "params": COUNT,
    "macs": COUNT,
    "top1": SHARE,
    "train_seconds": NUMBER,
    "parents": TABLE,
}
"""Any of these may be missing or null: it is then not known."""

PREPROCESSING = ("classes", "canvas", "channels", "input_size", "mean", "std")
"""What a file must say of itself so that image files can be fed to it."""


def read_record(text: str, path: Path) -> Record:
    """The record in a file's metadata; raises CheckpointError naming what is wrong with it."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: its metadata `edgekd` is no JSON ({error})", "the file was changed: export it again"
        ) from error
    forms = {key: (form, NOTHING) for key, form in _FORMS.items() if isinstance(record, dict) and key in record}
    problem = fault(record, forms)
    if problem:
        raise CheckpointError(f"{path}: in its metadata `edgekd`, {problem}", "the file was changed: export it again")
    found: Record = {key: value for key, value in record.items() if value is not None}
    if found.get("format", FORMAT) > FORMAT:
        raise CheckpointError(
            f"{path}: its metadata has format {found['format']}, this edgekd reads {FORMAT}", "update edgekd"
        )
    return found


def needed_for_images(record: Record | None, path: Path) -> Record:
    """The record, when images can be prepared by it; raises CheckpointError naming what it lacks."""
    missing = [key for key in PREPROCESSING if key not in (record or {})]
    if record is None or missing:
        lacking = "its classes and preprocessing" if record is None else ", ".join(missing)
        raise CheckpointError(f"{path}: does not say {lacking}, which images need", "export the model with edgekd")
    counts = record["channels"], len(record["mean"]), len(record["std"])
    if counts not in ((1, 1, 1), (1, 3, 3), (3, 3, 3)):
        raise CheckpointError(
            f"{path}: its metadata has {{}} channels, {{}} means and {{}} deviations".format(*counts),
            "the file was changed: export it again",
        )
    return record
