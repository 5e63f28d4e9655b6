"""What an ONNX file says of itself, read straight from its protobuf: no onnx package, no weights loaded.

Only the few fields used here are followed (onnx.proto: ModelProto, GraphProto, NodeProto, TensorProto).
"""

import math
import mmap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from edgekd.errors import CheckpointError
from edgekd.runtimes.model_file import ModelFile, hash_files
from edgekd.runtimes.record import read_record

Buffer = mmap.mmap | bytes
Field = tuple[int, int | tuple[int, int]]

_FLOAT, _FLOAT16, _DOUBLE, _BFLOAT16 = 1, 10, 11, 16
_INT8 = (2, 3)
_WEIGHTS = (_FLOAT, _FLOAT16, _DOUBLE, _BFLOAT16, *_INT8)


def read_model(path: Path) -> ModelFile:
    """Read the facts; raises CheckpointError when the file is missing, cut, not ONNX, or its record is damaged."""
    try:
        if path.stat().st_size == 0:
            raise ValueError("it is empty")
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            graphs, text = _model(data)
            found = _Graph.read(data, graphs)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file", "give an .onnx file or a run with one") from error
    except (OSError, ValueError, IndexError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{path}: not an ONNX model, or cut short ({error})", "export or copy it again"
        ) from error
    files = [path, *(path.parent / name for name in sorted(found.external))]
    missing = next((each for each in files if not each.is_file()), None)
    if missing is not None:
        raise CheckpointError(f"{path}: its weights file {missing.name} is missing", "copy it beside the model")
    return ModelFile(
        path=path,
        size_bytes=sum(each.stat().st_size for each in files),
        sha256=hash_files(files),
        weights=found.weights,
        precision=found.precision(),
        operators=dict(found.operators),
        files=tuple(files),
        record=None if text is None else read_record(text, path),
    )


def _model(data: Buffer) -> tuple[list[tuple[int, int]], str | None]:
    """Where the graph lies, and the text of edgekd's metadata."""
    graphs, record = [], None
    for number, value in _fields(data, 0, len(data)):
        if isinstance(value, int):
            continue
        if number == 7:
            graphs.append(value)
        if number == 14:
            pair = {key: _text(data, at) for key, at in _fields(data, *value) if not isinstance(at, int)}
            if pair.get(1) == "edgekd":
                record = pair.get(2, "")
    if not graphs:
        raise ValueError("it holds no graph")
    return graphs, record


class _Graph:
    """Counts over all nodes and weights of the graph."""

    def __init__(self) -> None:
        self.operators: Counter[str] = Counter()
        self.kinds: Counter[int] = Counter()
        self.external: set[str] = set()
        self.weights = 0

    @classmethod
    def read(cls, data: Buffer, graphs: list[tuple[int, int]]) -> "_Graph":
        found = cls()
        for graph in graphs:
            for number, value in _fields(data, *graph):
                if number == 1 and not isinstance(value, int):
                    found._node(data, value)
                if number == 5 and not isinstance(value, int):
                    found._weight(data, value)
        return found

    def _node(self, data: Buffer, place: tuple[int, int]) -> None:
        name, tensors = "", []
        for number, value in _fields(data, *place):
            if number == 4 and not isinstance(value, int):
                name = _text(data, value)
            if number == 5 and not isinstance(value, int):
                tensors += [at for key, at in _fields(data, *value) if key == 5 and not isinstance(at, int)]
        self.operators[name] += 1
        if name == "Constant":
            for tensor in tensors:
                self._weight(data, tensor)

    def _weight(self, data: Buffer, place: tuple[int, int]) -> None:
        shape: list[int] = []
        kind = 0
        for number, value in _fields(data, *place):
            if number == 1:
                shape += [value] if isinstance(value, int) else _packed(data, value)
            elif number == 2 and isinstance(value, int):
                kind = value
            elif number == 13 and not isinstance(value, int):
                self._external(data, value)
        size = math.prod(shape)
        if kind in _WEIGHTS and shape:
            self.weights += size
            self.kinds[kind] += size

    def _external(self, data: Buffer, place: tuple[int, int]) -> None:
        pair = {key: _text(data, at) for key, at in _fields(data, *place) if not isinstance(at, int)}
        if pair.get(1) == "location":
            self.external.add(pair[2])

    def precision(self) -> str:
        """int8 when its operators are quantised, else the format most of its weights are in."""
        if any(name.startswith("QLinear") or name in _QUANTISED for name in self.operators):
            return "int8"
        most = self.kinds.most_common(1)
        return {_FLOAT16: "fp16", _BFLOAT16: "bf16", _DOUBLE: "fp64"}.get(most[0][0] if most else 0, "fp32")


_QUANTISED = {"DequantizeLinear", "ConvInteger", "MatMulInteger"}


def _fields(data: Buffer, start: int, end: int) -> Iterator[Field]:
    """The protobuf fields in data[start:end]: numbers as ints, strings and messages as (start, end)."""
    at = start
    while at < end:
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        elif wire == 2:
            size, at = _varint(data, at)
            if at + size > end:
                raise ValueError(f"byte {at}: {size} bytes announced, {end - at} there")
            yield number, (at, at + size)
            at += size
        else:
            raise ValueError(f"byte {at}: no protobuf field")
        if number == 0 or at > end:
            raise ValueError(f"byte {at}: no protobuf field")


def _varint(data: Buffer, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError(f"byte {at}: no protobuf number")


def _packed(data: Buffer, place: tuple[int, int]) -> list[int]:
    at, end = place
    numbers = []
    while at < end:
        value, at = _varint(data, at)
        numbers.append(value)
    return numbers


def _text(data: Buffer, place: tuple[int, int]) -> str:
    return data[place[0] : place[1]].decode("utf-8")
