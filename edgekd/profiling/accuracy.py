"""Accuracy and parity on this machine, in numpy: int8 kernels differ from CPU to CPU, so it is worth a look."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import CheckpointError, DataError, nearest
from edgekd.images.canvas import SUFFIXES, BadImage, decode, strict_pillow
from edgekd.profiling.feeds import read_sample
from edgekd.profiling.preprocessing import prepare
from edgekd.profiling.session import plain_words

BATCH = 100


def check_parity(session: Any, sample: Path) -> dict[str, Any]:  # noqa: ANN401
    """The export's own sample run here: how far its logits are off, and how often the top class agrees."""
    arrays = read_sample(sample)
    expected = arrays["logits"]
    found = np.concatenate([_run(session, rows, sample) for rows in _batches(session, arrays["inputs"])])
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


def measure_accuracy(session: Any, record: dict[str, Any], images: Path) -> dict[str, Any]:  # noqa: ANN401
    """Top-1 and top-5 on `images/<class>/*`, decoded and prepared as in training.

    Raises DataError for folders that are none of the model's classes, or images that cannot be read.
    """
    files = list_images(images, record["classes"])
    top1 = top5 = 0
    for start in range(0, len(files), BATCH):
        part = files[start : start + BATCH]
        canvases = np.stack([_canvas(path, record) for path, _ in part])
        inputs = prepare(canvases, record["input_size"], record["mean"], record["std"])
        logits = np.concatenate([_run(session, rows, images) for rows in _batches(session, inputs)])
        targets = np.array([target for _, target in part])[:, None]
        ranked = np.argsort(-logits, axis=1, kind="stable")[:, :5]
        top1 += int((ranked[:, :1] == targets).sum())
        top5 += int((ranked == targets).sum())
    return {"images": len(files), "top1": top1 / len(files), "top5": top5 / len(files), "folder": str(images)}


def list_images(folder: Path, classes: Sequence[str]) -> list[tuple[Path, int]]:
    """The image files of `folder/<class>/`, with the class's number; `folder/test` is taken when it is there."""
    root = folder / "test" if (folder / "test").is_dir() else folder
    if not root.is_dir():
        raise DataError(f"{folder}: no such folder", "give a folder with <class>/* images")
    found = []
    for place in sorted(each for each in root.iterdir() if each.is_dir()):
        if place.name not in classes:
            raise DataError(f"{place}: the model has no class {place.name}", nearest(place.name, classes))
        target = list(classes).index(place.name)
        found += [(path, target) for path in sorted(place.rglob("*")) if path.suffix.lower() in SUFFIXES]
    if not found:
        raise DataError(f"{root}: no images in class folders there", "give a folder with <class>/* images")
    return found


def _canvas(path: Path, record: dict[str, Any]) -> NDArray[np.uint8]:
    try:
        with strict_pillow():
            return decode(path.read_bytes(), record["canvas"], record["channels"])
    except (BadImage, OSError) as error:
        raise DataError(f"{path}: cannot be used ({error})", "mend it or take it away") from error


def _batches(session: Any, inputs: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:  # noqa: ANN401
    """Rows as the model takes them: all at once, or in its own fixed batch."""
    fixed = session.get_inputs()[0].shape[0]
    size = fixed if isinstance(fixed, int) and fixed > 0 else len(inputs)
    if len(inputs) % size:
        raise CheckpointError(
            f"the model's batch is fixed at {size}, which does not divide {len(inputs)} images",
            "export it with a dynamic batch",
        )
    for start in range(0, len(inputs), size):
        yield inputs[start : start + size]


def _run(session: Any, rows: NDArray[np.float32], source: Path) -> NDArray[np.float32]:  # noqa: ANN401
    """Logits `[n, classes]`; raises CheckpointError where the model does not take such rows."""
    given = session.get_inputs()[0]
    kind = np.float16 if given.type == "tensor(float16)" else np.float32
    try:
        logits: NDArray[np.float32] = np.asarray(session.run(None, {given.name: rows.astype(kind)})[0], np.float32)
    except Exception as error:  # ONNX Runtime's own exceptions share no base class
        raise CheckpointError(
            f"{source}: the model does not run on these {list(rows.shape)} inputs ({plain_words(error)})",
            "the sample and the metadata must be of this model: export it again",
        ) from error
    if logits.ndim != 2:
        raise CheckpointError(
            f"{source}: the model answers with {list(logits.shape)}, not a row of logits each", "give a classifier"
        )
    return logits
