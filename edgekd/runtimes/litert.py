"""LiteRT (TensorFlow Lite) behind the interface that all runtimes share: .tflite files on the CPU with XNNPACK."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.errors import CheckpointError
from edgekd.runtimes.runtime import Array, Feed, Port, plain_words
from edgekd.runtimes.suffixes import load_package

SUFFIX = ".tflite"


class LiteRtSession:
    """An interpreter; integers that stand for real numbers are scaled here, so that callers see float32."""

    def __init__(self, raw: Any) -> None:  # noqa: ANN401
        self.raw = raw
        raw.allocate_tensors()
        self._inputs, self._outputs = raw.get_input_details(), raw.get_output_details()
        self.inputs = tuple(map(_port, self._inputs))
        self.outputs = tuple(map(_port, self._outputs))

    def compute(self, feed: Feed) -> list[Array]:
        """One pass; another batch size than the last one's is made room for first."""
        values = [feed[each["name"]] for each in self._inputs]
        if any(list(value.shape) != list(each["shape"]) for value, each in zip(values, self._inputs, strict=True)):
            self._resize(values)
        for value, each in zip(values, self._inputs, strict=True):
            self.raw.set_tensor(each["index"], _quantised(value, each))
        self.raw.invoke()
        return [_real(self.raw.get_tensor(each["index"]), each) for each in self._outputs]

    def _resize(self, values: list[Array]) -> None:
        for value, each in zip(values, self._inputs, strict=True):
            self.raw.resize_tensor_input(each["index"], list(value.shape), strict=True)
        self.raw.allocate_tensors()
        self._inputs, self._outputs = self.raw.get_input_details(), self.raw.get_output_details()


def _scale(details: Mapping[str, Any]) -> tuple[float, int] | None:
    """Scale and zero point of whole numbers that stand for real ones; bytes of an image have none."""
    scale, zero = details["quantization"]
    return (float(scale), int(zero)) if scale and np.dtype(details["dtype"]).kind in "iu" else None


def _port(details: Mapping[str, Any]) -> Port:
    signature = details.get("shape_signature")
    sizes = details["shape"] if signature is None or not len(signature) else signature
    dtype = "float32" if _scale(details) else np.dtype(details["dtype"]).name
    return Port(details["name"], tuple(int(size) if size > 0 else None for size in sizes), dtype)


def _quantised(value: Array, details: Mapping[str, Any]) -> Array:
    found = _scale(details)
    if found is None:
        return value
    scale, zero = found
    limits = np.iinfo(details["dtype"])
    whole: Array = np.clip(np.rint(value / np.float32(scale)) + zero, limits.min, limits.max).astype(details["dtype"])
    return whole


def _real(value: Array, details: Mapping[str, Any]) -> Array:
    found = _scale(details)
    return value if found is None else (value.astype(np.float32) - found[1]) * np.float32(found[0])


class LiteRt:
    """Runs .tflite files on the CPU."""

    name = "litert"

    def version(self) -> str:
        """The installed version."""
        return str(load_package(SUFFIX).__version__)

    def open(self, path: Path, threads: int) -> LiteRtSession:
        """A session on `threads` threads; raises CheckpointError when LiteRT refuses the file."""
        interpreter = load_package(SUFFIX, ".interpreter")
        try:
            return LiteRtSession(interpreter.Interpreter(model_path=str(path), num_threads=threads))
        except (ValueError, RuntimeError, OSError) as error:
            raise CheckpointError(
                f"{path}: LiteRT {self.version()} cannot load it ({plain_words(error)})",
                "export it again, for operators that this LiteRT knows",
            ) from error


RUNTIME = LiteRt()
