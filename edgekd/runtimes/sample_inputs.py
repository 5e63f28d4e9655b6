"""What a session is fed while it is measured: the export's own samples, or made-up values that fit its inputs."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import CheckpointError
from edgekd.images.arrays import read_arrays
from edgekd.runtimes.runtime import Port, Session

Feed = dict[str, NDArray[Any]]

MOST_BYTES = 1_000_000_000
"""No export's sample is larger."""
POOL_BYTES = 4_000_000
"""Different inputs are made up to this size in all: they count in the process's memory."""

MOST_FEEDS = 8
SIDE = 224
"""Made-up height and width where the model leaves them open."""

LENGTH = 16
"""Made-up size of any other open dimension."""

SAMPLED = {"inputs": ("fiu", 2), "logits": ("f", 2), "labels": ("iu", 1)}
"""The arrays of a sample: numpy's kinds of number, and the fewest dimensions."""

NUMBERS = (
    *("float32", "float16", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
    "bool",
)
"""Kinds of input that values can be made up for, by numpy's names."""


def make_feeds(session: Session, batch: int, sample: Path | None, path: str) -> tuple[list[Feed], str]:
    """Several feeds of `batch` rows to use in turn for the model at `path`, and words on where they come from.

    Raises CheckpointError when an input is of a kind that cannot be made up, or its batch is fixed otherwise.
    """
    inputs = session.inputs
    dtypes = {each.name: _dtype(each, path) for each in inputs}
    shapes = {each.name: input_shape(each, batch, path, is_first=each is inputs[0]) for each in inputs}
    real = _sample(sample, shapes) if len(inputs) == 1 else None
    if real is not None:
        name = inputs[0].name
        count = _count(real[0].nbytes * batch)
        rows = [np.arange(start, start + batch) % len(real) for start in range(min(count, len(real)))]
        return [{name: real[each].astype(dtypes[name])} for each in rows], f"{len(real)} real images"
    size = sum(int(np.prod(shape)) * 4 for shape in shapes.values())
    random = np.random.default_rng(0)
    try:
        feeds = [
            {name: _made_up(random, dtypes[name], shape) for name, shape in shapes.items()} for _ in range(_count(size))
        ]
    except (MemoryError, ValueError) as error:
        raise CheckpointError(
            f"{path}: inputs {list(shapes.values())} do not fit in memory", "give a smaller --batch or model"
        ) from error
    return feeds, "made-up values"


def _count(size: int) -> int:
    return max(1, min(MOST_FEEDS, POOL_BYTES // max(size, 1)))


def input_shape(given: Port, batch: int, path: str, *, is_first: bool) -> tuple[int, ...]:
    """The shape an input gets: its own sizes where fixed, `batch` first, usual image sizes where open.

    Raises CheckpointError when the first input's batch is fixed at another number, or an input is always empty.
    """
    shape = list(given.shape)
    if not shape:
        return ()
    if 0 in shape:
        raise CheckpointError(f"{path}: input {given.name} {shape} is always empty", "export it with sizes above 0")
    if is_first and isinstance(shape[0], int) and shape[0] != batch:
        raise CheckpointError(
            f"{path}: input {given.name} {shape}: its batch is fixed at {shape[0]}, not {batch}",
            f"give --batch {shape[0]}, or export the model with a dynamic batch",
        )
    open_sizes = _image_sizes(given.layout == "NHWC") if len(shape) == 4 else [LENGTH] * len(shape)
    open_sizes[0] = batch
    return tuple(size if isinstance(size, int) and size > 0 else open_sizes[axis] for axis, size in enumerate(shape))


def _image_sizes(channels_last: bool) -> list[int]:
    return [1, SIDE, SIDE, 3] if channels_last else [1, 3, SIDE, SIDE]


def _dtype(given: Port, path: str) -> Any:  # noqa: ANN401
    if given.dtype not in NUMBERS:
        raise CheckpointError(
            f"{path}: input {given.name} is {given.dtype}: no values can be made up for it",
            f"only tensors of numbers can be profiled: {', '.join(NUMBERS)}",
        )
    return np.dtype(given.dtype)


def _made_up(random: np.random.Generator, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:  # noqa: ANN401
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return random.standard_normal(shape, dtype=np.float32).astype(kind, copy=False)
    high = {"uint8": 256, "int8": 128}.get(kind.name, 2)
    return random.integers(0, high, size=shape).astype(kind)


def _sample(path: Path | None, shapes: dict[str, tuple[int, ...]]) -> NDArray[np.float32] | None:
    """The sample's inputs `[k, ...]` when the file is there and they fit the model's one input."""
    if path is None or not path.is_file():
        return None
    inputs = read_sample(path)["inputs"]
    shape = next(iter(shapes.values()))
    return inputs if len(inputs) and inputs.shape[1:] == shape[1:] else None


def read_sample(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays `inputs`, `logits`, `labels` of an export's sample.npz.

    Raises CheckpointError if it is torn, or its arrays cannot be a sample's.
    """
    found = read_arrays(path, SAMPLED, MOST_BYTES, CheckpointError)
    problem = _fault(found)
    if problem:
        raise CheckpointError(f"{path}: {problem}", "the file was changed: export the model again")
    return found


def _fault(arrays: dict[str, NDArray[Any]]) -> str | None:
    """Words when these arrays are no images, their logits and their labels."""
    missing = [name for name in SAMPLED if name not in arrays]
    if missing:
        return f"it has no {' and no '.join(missing)}"
    for name, (kinds, dimensions) in SAMPLED.items():
        array = arrays[name]
        if array.dtype.kind not in kinds or array.ndim < dimensions or not len(array):
            return f"its {name} are {array.dtype} {list(array.shape)}"
        if not np.isfinite(array).all():
            return f"its {name} are not all numbers"
    counts = [len(arrays[name]) for name in SAMPLED]
    return None if len(set(counts)) == 1 else "it has {} inputs, {} logits, {} labels".format(*counts)
