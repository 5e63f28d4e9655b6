"""`edgekd predict`: from image files to a table of classes, by an ONNX file or whatever else answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config import Predict
from edgekd.errors import DataError
from edgekd.images.canvas import Aspect, BadImage, decode, strict_pillow
from edgekd.images.decoder import form_of, read
from edgekd.images.folder import walk
from edgekd.report import Cell, Reporter, Result, Table
from edgekd.runtimes.predictor import open_predictor

BATCH = 64


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
    """Classes of image files by an ONNX file that edgekd exported."""
    answer = open_predictor(config.model, config.threads)
    record = answer.record
    form = form_of(record)
    found = Predictor(record["classes"], form.side, form.channels, answer.logits, form.aspect, form.grey_bits)
    return predict(found, config, report)


def predict(predictor: Predictor, config: Predict, report: Reporter) -> Result:
    """The likeliest classes of every image file.

    Raises DataError naming a file that cannot be read.
    """
    files = _files(config.images)
    top = min(config.top, len(predictor.classes))
    found: list[dict[str, Any]] = []
    with report.stage("predicting", len(files), "images") as progress, strict_pillow():
        for start in range(0, len(files), BATCH):
            part = files[start : start + BATCH]
            canvases = np.stack([_canvas(path, predictor) for path in part])
            shares = _softmax(predictor.logits(canvases))
            for path, row in zip(part, shares, strict=True):
                order = np.argsort(-row, kind="stable")[:top]
                best = [{"class": predictor.classes[i], "probability": float(row[i])} for i in order]
                found.append({"image": str(path), "top": best})
            progress.advance(len(part))
    rows: list[list[Cell]] = [
        [each["image"], guess["class"], f"{guess['probability']:.2%}"] for each in found for guess in each["top"]
    ]
    facts = {"model": config.model, "images": found}
    return Result(facts, (Table("edgekd predict", ("image", "class", "probability"), rows),))


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


def _canvas(path: Path, predictor: Predictor) -> NDArray[np.uint8]:
    try:
        content = read(str(path))
        return decode(content, predictor.canvas, predictor.channels, predictor.aspect, predictor.grey_bits)
    except BadImage as error:
        raise DataError(f"{path}: cannot be used ({error})", "mend it or leave it out") from error


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)
