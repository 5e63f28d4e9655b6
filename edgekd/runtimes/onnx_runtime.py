"""ONNX Runtime behind the interface that all runtimes share."""

from functools import cached_property
from pathlib import Path
from typing import Any

import onnxruntime

from edgekd.runtimes.runtime import Array, Feed, Port
from edgekd.runtimes.session import open_session

DTYPES = {"float": "float32", "double": "float64"}
"""ONNX's names where numpy has others."""


class OnnxSession:
    """An ONNX Runtime session; `raw` is its own."""

    def __init__(self, raw: Any) -> None:  # noqa: ANN401
        self.raw = raw

    @cached_property
    def inputs(self) -> tuple[Port, ...]:
        """What it is fed."""
        return tuple(map(_port, self.raw.get_inputs()))

    @cached_property
    def outputs(self) -> tuple[Port, ...]:
        """What it answers with."""
        return tuple(map(_port, self.raw.get_outputs()))

    def compute(self, feed: Feed) -> list[Array]:
        """One pass."""
        found: list[Array] = self.raw.run(None, feed)
        return found


def _port(given: Any) -> Port:  # noqa: ANN401
    kind = given.type.removeprefix("tensor(").removesuffix(")") if given.type.startswith("tensor(") else given.type
    return Port(given.name, tuple(given.shape or ()), DTYPES.get(kind, kind))


class OnnxRuntime:
    """Runs .onnx files on the CPU."""

    name = "onnxruntime"

    def version(self) -> str:
        """The installed version."""
        return str(onnxruntime.__version__)

    def open(self, path: Path, threads: int) -> OnnxSession:
        """A session on `threads` threads; raises CheckpointError when ONNX Runtime refuses the file."""
        return OnnxSession(open_session(path, threads))


RUNTIME = OnnxRuntime()
