"""What edgekd asks of a runtime, and the one way a model is run over many rows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import CheckpointError
from edgekd.shortage import shortage_in

Array = NDArray[Any]
Feed = Mapping[str, Array]

ROWS = 64
"""Rows computed at once where the model takes any number: memory stays bounded."""
LONGEST = 240
NOISE = (
    r"\[ONNXRuntimeError\] : \d+ : \w+ : ",
    r"/\S*onnxruntime\S*:\d+ [^()]*\([^()]*\)(?: const)? ?",
    r"Exception during (?:initialization|loading): ",
    r"Load model from .*? failed: ?",
)


@dataclass(frozen=True)
class Port:
    """An input or output: a size that is not a whole number above 0 is open; `dtype` is numpy's name."""

    name: str
    shape: tuple[int | str | None, ...]
    dtype: str

    @property
    def fixed_batch(self) -> int | None:
        """The only batch size it takes; None for any."""
        first = self.shape[0] if self.shape else None
        return first if isinstance(first, int) and first > 0 else None

    @property
    def layout(self) -> str:
        """NHWC where only the last axis can be channels, else NCHW."""
        shape = self.shape
        return "NHWC" if len(shape) == 4 and is_channels(shape[3]) and not is_channels(shape[1]) else "NCHW"


class Session(Protocol):
    """An opened model. Quantised inputs and outputs are float32 to the outside."""

    @property
    def inputs(self) -> Sequence[Port]:
        """What it is fed."""

    @property
    def outputs(self) -> Sequence[Port]:
        """What it answers with."""

    def compute(self, feed: Feed) -> list[Array]:
        """One pass: the outputs in their order; raises the runtime's own exceptions."""


class Runtime(Protocol):
    """What runs files of one suffix (suffixes.py describes them without it)."""

    name: str

    def version(self) -> str:
        """The installed version."""

    def open(self, path: Path, threads: int) -> Session:
        """A session on `threads` CPU threads; raises CheckpointError when the runtime refuses the file."""


def is_channels(size: int | str | None) -> bool:
    """Whether an axis of this size holds the channels of an image."""
    return size in (1, 3) or str(size).lower().startswith("c")


def run(session: Session, inputs: Array, source: Path, output: str | None = None) -> NDArray[np.float32]:
    """Logits [n, classes] of laid-out inputs [n, ...]; a fixed batch is filled up by repeating the last row.

    `output`: which one, by default `logits`, else the first. Raises CheckpointError naming `source` where the model
    does not take such rows, or does not answer with a row of numbers for each.
    """
    given = session.inputs[0]
    names = [each.name for each in session.outputs]
    position = names.index(output) if output is not None else names.index("logits") if "logits" in names else 0
    size = given.fixed_batch or ROWS
    found = []
    for start in range(0, len(inputs), size):
        part = inputs[start : start + size]
        missing = size - len(part) if given.fixed_batch else 0
        rows = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part
        try:
            answer = session.compute({given.name: rows.astype(given.dtype, copy=False)})[position]
        except Exception as error:  # runtimes' own exceptions share no base class
            if (lacking := shortage_in(str(error))) is not None:
                raise lacking from error
            raise CheckpointError(
                f"{source}: the model does not run on these {list(rows.shape)} inputs ({plain_words(error)})",
                "the sample and the metadata must be of this model: export it again",
            ) from error
        found.append(_rows(answer, len(rows), source)[: len(part)])
    return np.concatenate(found)


def _rows(answer: Array, count: int, source: Path) -> NDArray[np.float32]:
    wide = [size for size in answer.shape[1:] if size != 1]
    if answer.ndim < 2 or len(answer) != count or len(wide) > 1:
        raise CheckpointError(
            f"{source}: the model answers with {list(answer.shape)}, not a row of logits each", "give a classifier"
        )
    # copied: some runtimes hand out their own buffer, which the next pass overwrites
    return np.array(answer.reshape(count, -1), np.float32)


def plain_words(error: Exception) -> str:
    """An exception's message on one line, without places in a runtime's own source, and not too long."""
    words = " ".join(str(error).split())
    for noise in NOISE:
        words = re.sub(noise, "", words)
    return (words if len(words) <= LONGEST else f"{words[: LONGEST - 3]}...") or type(error).__name__
