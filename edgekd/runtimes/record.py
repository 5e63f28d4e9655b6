"""What `edgekd export` writes of a model into its file's metadata, read back with every value checked."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from edgekd.errors import CheckpointError
from edgekd.manifest import Channels, ClassNames, Side
from edgekd.values import Count, Limits, Positive, Share, check

FORMAT = 1
"""Version of the metadata that this edgekd reads."""

Record = dict[str, Any]


class _Record(TypedDict, total=False):
    """Any of these may be missing or null: it is then not known."""

    format: Count | None
    model: str | None
    classes: ClassNames | None
    channels: Channels | None
    input_size: Side | None
    canvas: Side | None
    aspect: Literal["crop", "pad", "squash"] | None
    grey_bits: Literal[8, 10, 12, 14, 16] | None
    mean: Annotated[list[float], Limits(1)] | None
    std: Annotated[list[Positive], Limits(1)] | None
    input_dtype: str | None
    layout: Literal["NCHW", "NHWC"] | None
    normalises: bool | None
    runtime: str | None
    params: Count | None
    macs: Count | None
    precision: str | None
    top1: Share | None
    train_seconds: float | None
    parents: dict[str, Any] | None


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
    check(
        record, _Record, f"{path}: in its metadata `edgekd`,", CheckpointError, "the file was changed: export it again"
    )
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
