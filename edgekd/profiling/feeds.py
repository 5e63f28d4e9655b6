"""What a session is fed while it is measured: the export's own samples, or made-up values that fit its inputs."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import CheckpointError

Feed = dict[str, NDArray[Any]]

POOL_BYTES = 4_000_000
"""Different inputs are made up to this size in all: they count in the process's memory."""

MOST_FEEDS = 8
SIDE = 224
"""Made-up height and width where the model leaves them open."""

LENGTH = 16
"""Made-up size of any other open dimension."""

DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


def make_feeds(session: Any, batch: int, sample: Path | None) -> tuple[list[Feed], str]:  # noqa: ANN401
    """Several feeds of `batch` rows to use in turn, and words on where they come from.

    Raises CheckpointError when an input is of a kind that cannot be made up, or its batch is fixed otherwise.
    """
    inputs = session.get_inputs()
    shapes = {each.name: input_shape(each, batch) for each in inputs}
    real = _sample(sample, shapes) if len(inputs) == 1 else None
    if real is not None:
        name = inputs[0].name
        count = _count(real[0].nbytes * batch)
        dtype = _dtype(inputs[0])
        rows = [np.arange(start, start + batch) % len(real) for start in range(min(count, len(real)))]
        return [{name: real[each].astype(dtype)} for each in rows], f"{len(real)} real images"
    size = sum(int(np.prod(shape)) * 4 for shape in shapes.values())
    random = np.random.default_rng(0)
    feeds = [
        {each.name: _made_up(random, _dtype(each), shapes[each.name]) for each in inputs} for _ in range(_count(size))
    ]
    return feeds, "made-up values"


def _count(size: int) -> int:
    return max(1, min(MOST_FEEDS, POOL_BYTES // max(size, 1)))


def input_shape(given: Any, batch: int) -> tuple[int, ...]:  # noqa: ANN401
    """The shape an input gets: its own sizes where fixed, `batch` first, usual image sizes where open.

    Raises CheckpointError when the model's batch is fixed at another number.
    """
    shape = list(given.shape or [])
    if not shape:
        return ()
    if isinstance(shape[0], int) and shape[0] > 0 and shape[0] != batch:
        raise CheckpointError(
            f"input {given.name}: its batch is fixed at {shape[0]}, not {batch}",
            f"give --batch {shape[0]}, or export the model with a dynamic batch",
        )
    channels_last = len(shape) == 4 and shape[3] in (1, 3) and shape[1] not in (1, 3)
    open_sizes = _image_sizes(channels_last) if len(shape) == 4 else [LENGTH] * len(shape)
    open_sizes[0] = batch
    return tuple(size if isinstance(size, int) and size > 0 else open_sizes[axis] for axis, size in enumerate(shape))


def _image_sizes(channels_last: bool) -> list[int]:
    return [1, SIDE, SIDE, 3] if channels_last else [1, 3, SIDE, SIDE]


def _dtype(given: Any) -> Any:  # noqa: ANN401
    if given.type not in DTYPES:
        raise CheckpointError(
            f"input {given.name} is {given.type}: no values can be made up for it",
            "only tensors of numbers can be profiled: " + ", ".join(sorted(map(_short, DTYPES))),
        )
    return DTYPES[given.type]


def _short(kind: str) -> str:
    return re.sub(r"tensor\((.*)\)", r"\1", kind)


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
    """The arrays `inputs`, `logits`, `labels` of an export's sample.npz; raises CheckpointError if torn."""
    try:
        # numpy leaves a file open that it opened itself and found torn
        with path.open("rb") as stream, np.load(stream) as arrays:
            return {name: arrays[name] for name in ("inputs", "logits", "labels")}
    except Exception as error:  # zipfile, zlib, numpy: each has its own
        raise CheckpointError(f"{path}: cannot be read ({error})", "export the model again") from error
