"""MNN behind the interface that all runtimes share: .mnn files on the CPU, in float32 arithmetic."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.errors import CheckpointError
from edgekd.runtimes.runtime import Array, Feed, Port, plain_words
from edgekd.runtimes.suffixes import load_package

SUFFIX = ".mnn"
FAULTS = {1: "out of memory", 2: "an operator is not supported", 3: "computing failed", 5: "no input was given"}
"""MNN's error codes (ErrorCode.hpp) that a pass may end with."""


class MnnSession:
    """An interpreter with one session; the batch is open whatever the file says, as MNN computes shapes anew."""

    def __init__(self, package: Any, path: Path, threads: int) -> None:  # noqa: ANN401
        self._package = package
        self._kinds = {
            "float32": package.Halide_Type_Float,
            "uint8": package.Halide_Type_Uint8,
            "int32": package.Halide_Type_Int,
            "int64": package.Halide_Type_Int64,
        }
        self._raw = package.Interpreter(str(path))
        # high: other settings allow float16 arithmetic where the processor has it
        self._session = self._raw.createSession({"numThread": threads, "precision": "high"})
        self._given = self._raw.getSessionInputAll(self._session)
        self._answers = self._raw.getSessionOutputAll(self._session)
        self.inputs = tuple(self._port(name, each) for name, each in self._given.items())
        self.outputs = tuple(self._port(name, each) for name, each in self._answers.items())

    def _port(self, name: str, tensor: Any) -> Port:  # noqa: ANN401
        kind = tensor.getDataType()
        dtype = next((each for each, known in self._kinds.items() if known == kind), "an unknown type")
        return Port(name, (None, *tensor.getShape()[1:]), dtype)

    def compute(self, feed: Feed) -> list[Array]:
        """One pass; raises RuntimeError with MNN's fault."""
        self._resize(feed)
        package = self._package
        for port in self.inputs:
            rows, tensor = np.ascontiguousarray(feed[port.name]), self._given[port.name]
            kind = self._kinds[port.dtype]
            tensor.copyFrom(package.Tensor(rows.shape, kind, rows, tensor.getDimensionType()))
        code = self._raw.runSession(self._session)
        if code:
            raise RuntimeError(FAULTS.get(code, f"MNN's error {code}"))
        return [self._answer(port) for port in self.outputs]

    def _resize(self, feed: Feed) -> None:
        shapes = {port.name: tuple(feed[port.name].shape) for port in self.inputs}
        if all(tuple(self._given[name].getShape()) == shape for name, shape in shapes.items()):
            return
        for name, shape in shapes.items():
            self._raw.resizeTensor(self._given[name], shape)
        self._raw.resizeSession(self._session)
        self._answers = self._raw.getSessionOutputAll(self._session)

    def _answer(self, port: Port) -> Array:
        tensor = self._answers[port.name]
        shape = tensor.getShape()
        if any(size < 1 for size in shape):
            raise RuntimeError(f"its output {port.name} is {list(shape)}: these inputs do not fit")
        empty = np.empty(shape, port.dtype)
        host = self._package.Tensor(shape, self._kinds[port.dtype], empty, tensor.getDimensionType())
        tensor.copyToHostTensor(host)
        # its array is a view of the tensor's memory, which goes with the tensor
        found: Array = host.getNumpyData().reshape(shape).copy()
        return found


@contextmanager
def quiet() -> Iterator[None]:
    """What MNN prints goes nowhere: standard output carries edgekd's result."""
    sys.stdout.flush()
    with suppress(OSError):
        kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        try:
            yield
        finally:
            # C holds printed text back where stdout is a pipe: it must go before stdout is back
            ctypes.CDLL(None).fflush(None)
            os.dup2(kept, 1)
            os.close(kept)
            os.close(nowhere)
        return
    yield


class Mnn:
    """Runs .mnn files on the CPU."""

    name = "mnn"

    def version(self) -> str:
        """The installed version."""
        with quiet():
            return str(load_package(SUFFIX).version())

    def open(self, path: Path, threads: int) -> MnnSession:
        """A session on `threads` threads; raises CheckpointError when MNN refuses the file."""
        with quiet():
            package = load_package(SUFFIX)
            try:
                return MnnSession(package, path, threads)
            except Exception as error:  # PyMNN raises plain Exceptions
                raise CheckpointError(
                    f"{path}: MNN {package.version()} cannot load it ({plain_words(error)})",
                    "export it again with the MNN that runs it",
                ) from error


RUNTIME = Mnn()
