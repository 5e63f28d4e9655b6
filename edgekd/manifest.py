"""What a run's manifest may hold, checked whenever one is read. The format: docs/formats.md."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from edgekd import __version__
from edgekd.errors import CheckpointError
from edgekd.reading import Record, read_json
from edgekd.values import Count, Limits, Positive, Share, Whole, check

FORMAT = 1
"""Version of the run folder's format; a newer one is refused."""

Side = Annotated[int, Limits(1, 65_536)]
Channels = Annotated[int, Limits(1, 4)]
Seconds = Annotated[float, Limits(0)]
ClassNames = Annotated[list[str], Limits(1)]


class Model(TypedDict, total=False):
    """The network, by what builds it again."""

    name: str
    classes: ClassNames
    channels: Channels
    input_size: Side
    code: str


class Images(TypedDict, total=False):
    """The data set."""

    name: str
    options: dict[str, Any]
    classes: ClassNames
    canvas: Side
    channels: Channels
    fingerprint: str
    images: Whole
    skipped: Whole


class Outcome(TypedDict, total=False):
    """What a finished run came to."""

    test_top1: Share | None
    test_images: Whole | None
    val_top1: Share | None
    val_images: Whole
    val_calibration_error: Share
    val_temperature: Positive
    best_epoch: Whole
    steps: Whole
    train_seconds: Seconds
    images_per_second: Seconds
    peak_rss_mb: Seconds


class Manifest(TypedDict, total=False):
    """Any key may be missing, since a run may have been killed at any time; present keys have this type."""

    format: Count
    command: str
    status: Literal["running", "interrupted", "finished"]
    given: dict[str, Any]
    config: dict[str, Any]
    model: Model
    params: Whole
    macs: Whole | None
    method_params: Whole
    data: Images
    views: dict[str, Any]
    parents: dict[str, Any]
    teacher_quality: dict[str, Any]
    environment: dict[str, Any]
    processes: Count
    result: Outcome
    weights_sha256: str


def read_manifest(path: Path) -> Record:
    """The manifest at a path; raises CheckpointError when it is missing, torn, of a newer format, or not one.

    Asking it for a key that is not there raises CheckpointError too.
    """
    found = read_json(path, CheckpointError)
    known = found.get("format", 0)
    if isinstance(known, int) and known > FORMAT:
        raise CheckpointError(
            f"{path.parent}: run format {known} is newer than this edgekd knows ({FORMAT})",
            f"update edgekd (this is {__version__})",
        )
    checked: Record = check(found, Manifest, path, CheckpointError, "restore the file, or train the run again")
    return checked
