"""`edgekd predict`: from image files to a table of classes, by a model file or whatever else answers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config import Predict
from edgekd.errors import CheckpointError, DataError
from edgekd.images.canvas import Aspect, BadImage, decode, strict_pillow
from edgekd.images.decoder import form_of, read
from edgekd.images.folder import walk
from edgekd.report import Cell, Reporter, Result, Table
from edgekd.runtimes.predictor import open_predictor

BATCH = 64
MOST_TOLD = 10
"""Bad images named on stderr."""


@dataclass(frozen=True)
class Predictor:
    """A classifier over canvases: uint8 [n, S, S, C] -> logits [n, classes]."""

    classes: Sequence[str]
    canvas: int
    channels: int
    logits: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    aspect: Aspect = "crop"
    grey_bits: int = 16


def run(config: Predict, report: Reporter) -> Result:
    """Classes of image files by a model file that edgekd exported."""
    answer = open_predictor(config.model, config.threads)
    record = answer.record
    form = form_of(record)
    found = Predictor(record["classes"], form.side, form.channels, answer.logits, form.aspect, form.grey_bits)
    return predict(found, config, report)


def predict(predictor: Predictor, config: Predict, report: Reporter) -> Result:
    """The likeliest classes of every image file; files that cannot be read are reported and left out.

    `Result.failure` is DataError when there were such files and they may not be skipped. Raises DataError when a place
    is not there, CheckpointError when the answers are no numbers.
    """
    files = _files(config.images)
    found: list[dict[str, Any]] = []
    bad: list[dict[str, str]] = []
    with report.stage("predicting", len(files), "images") as progress, strict_pillow():
        for start in range(0, len(files), BATCH):
            part = files[start : start + BATCH]
            canvases = {path: canvas for path in part if (canvas := _canvas(path, predictor, bad)) is not None}
            found += _answers(canvases, predictor, config) if canvases else []
            progress.advance(len(part))
    for each in bad[:MOST_TOLD]:
        report.warn(f"{each['image']}: left out: {each['fault']}")
    if len(bad) > MOST_TOLD:
        report.warn(f"{len(bad) - MOST_TOLD} more images were left out (--json names them)")
    rows: list[list[Cell]] = [
        [each["image"], guess["class"], f"{guess['probability']:.2%}"] for each in found for guess in each["top"]
    ]
    facts = {"model": config.model, "images": found, "skipped": bad}
    tables = (Table("edgekd predict", ("image", "class", "probability"), rows),) if rows else ()
    return Result(facts, tables, failure=None if config.skip_bad_images else _failure(bad, len(files)))


def _failure(bad: Sequence[dict[str, str]], files: int) -> DataError | None:
    if not bad:
        return None
    more = f" (and {len(bad) - 1} more of {files} images)" if len(bad) > 1 else ""
    problem = f"{bad[0]['image']}: cannot be used ({bad[0]['fault']}){more}"
    return DataError(problem, "mend or remove it; --skip-bad-images ends with 0 all the same")


def _answers(
    canvases: Mapping[Path, NDArray[np.uint8]], predictor: Predictor, config: Predict
) -> Iterator[dict[str, Any]]:
    """The likeliest classes of each image."""
    logits = predictor.logits(np.stack(list(canvases.values())))
    if not np.isfinite(logits).all():
        raise CheckpointError(
            f"{config.model}: its answers are no finite numbers", "its weights are damaged: train or export it again"
        )
    for path, row in zip(canvases, _softmax(logits), strict=True):
        order = np.argsort(-row, kind="stable")[: min(config.top, len(predictor.classes))]
        best = [{"class": predictor.classes[i], "probability": float(row[i])} for i in order]
        yield {"image": str(path), "top": best}


def _files(given: Sequence[Path]) -> list[Path]:
    found = []
    for path in given:
        if path.is_dir():
            found += sorted(Path(each) for each, _ in walk(path))
        elif path.exists():
            found.append(path)
        else:
            raise DataError(f"{path}: no such file or folder", "give image files or folders of them")
    if not found:
        raise DataError(f"{given[0]}: no images in this folder", "give image files or folders of them")
    return found


def _canvas(path: Path, predictor: Predictor, bad: list[dict[str, str]]) -> NDArray[np.uint8] | None:
    """The file as a canvas; None, and an entry in `bad`, where it is no image that can be read."""
    try:
        content = read(str(path))
        return decode(content, predictor.canvas, predictor.channels, predictor.aspect, predictor.grey_bits)
    except (BadImage, DataError, OSError) as error:
        bad.append({"image": str(path), "fault": str(error).removeprefix(f"{path}: ")})
        return None


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)
