"""Accuracy and parity on this machine, in numpy: int8 kernels differ from CPU to CPU, so it is worth a look."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import CheckpointError, DataError, nearest
from edgekd.images.canvas import BadImage, strict_pillow
from edgekd.images.decoder import form_of, read
from edgekd.images.folder import visible_folders, walk
from edgekd.images.names import normalise
from edgekd.images.splits import split_of
from edgekd.runtimes.preprocessing import feed_of
from edgekd.runtimes.runtime import Session, run
from edgekd.runtimes.sample_inputs import read_sample

BATCH = 100


def check_parity(session: Session, sample: Path) -> dict[str, Any]:
    """The export's own sample run here: how far its logits are off, and how often the top class agrees."""
    arrays = read_sample(sample)
    expected = arrays["logits"]
    found = run(session, arrays["inputs"], sample)
    if not np.isfinite(found).all():
        raise CheckpointError(
            f"{sample}: the model answers it with values that are no numbers", "train or export again"
        )
    if found.shape != expected.shape:
        raise CheckpointError(
            f"{sample}: its logits are {list(expected.shape)}, the model gives {list(found.shape)}",
            "the sample is of another model: export again",
        )
    return {
        "samples": len(expected),
        "largest_difference": float(np.abs(found - expected).max()),
        "same_top1": float((found.argmax(1) == expected.argmax(1)).mean()),
    }


def measure_accuracy(session: Session, record: dict[str, Any], images: Path) -> dict[str, Any]:
    """Top-1 and top-5 on `images/<class>/*`, decoded and prepared as in training.

    Raises DataError for folders that are none of the model's classes, or images that cannot be read.
    """
    files = list_images(images, record["classes"])
    top1 = top5 = 0
    for start in range(0, len(files), BATCH):
        part = files[start : start + BATCH]
        canvases = np.stack([_canvas(path, record) for path, _ in part])
        logits = run(session, feed_of(canvases, record, session.inputs[0]), images)
        targets = np.array([target for _, target in part])[:, None]
        ranked = np.argsort(-logits, axis=1, kind="stable")[:, :5]
        top1 += int((ranked[:, :1] == targets).sum())
        top5 += int((ranked == targets).sum())
    return {"images": len(files), "top1": top1 / len(files), "top5": top5 / len(files), "folder": str(images)}


def list_images(folder: Path, classes: Sequence[str]) -> list[tuple[Path, int]]:
    """The image files of `folder/<class>/`, with the class's number; `folder/test` is taken when it is there."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", "give a folder with <class>/* images")
    tests = [place for place in visible_folders(folder) if split_of(place.name) == "test"]
    root = tests[0] if tests and normalise(tests[0].name) not in classes else folder
    numbers = {normalise(name): number for number, name in enumerate(classes)}
    found = []
    for place in visible_folders(root):
        name = normalise(place.name)
        if name not in numbers:
            raise DataError(f"{place}: the model has no class {name}", nearest(name, classes))
        target = numbers[name]
        found += [(Path(path), target) for path, _ in sorted(walk(place))]
    if not found:
        raise DataError(f"{root}: no images in class folders there", "give a folder with <class>/* images")
    return found


def _canvas(path: Path, record: dict[str, Any]) -> NDArray[np.uint8]:
    try:
        with strict_pillow():
            return form_of(record).decode(read(str(path)))
    except BadImage as error:
        raise DataError(f"{path}: cannot be used ({error})", "mend it or take it away") from error
