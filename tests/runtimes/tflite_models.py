"""A small .tflite file built with LiteRT's own schema: convolution, mean over the map, dense layer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

SIDE, CLASSES, WIDTH = 8, 4, 6
FLOAT32, INT32, UINT8, INT8 = 0, 2, 3, 9
CONV_2D, FULLY_CONNECTED, MEAN, QUANTIZE, DEQUANTIZE, CAST = 3, 9, 40, 114, 6, 53


def weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    return {
        "kernel": random.standard_normal((WIDTH, 3, 3, 3)).astype(np.float32),
        "bias": np.zeros(WIDTH, np.float32),
        "axes": np.array([1, 2], np.int32),
        "head": random.standard_normal((CLASSES, WIDTH)).astype(np.float32),
        "offset": random.standard_normal(CLASSES).astype(np.float32),
    }


def expected(images: np.ndarray) -> np.ndarray:
    """Logits of images [n, 8, 8, 3], in numpy."""
    w = weights()
    patches = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))  # [n, 6, 6, 3, 3, 3]
    maps = np.einsum("nhwcij,oijc->nhwo", patches, w["kernel"]) + w["bias"]
    return maps.mean((1, 2)) @ w["head"].T + w["offset"]


class _Model:
    def __init__(self) -> None:
        self.schema: Any = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="needs edgekd[litert]")
        self.buffers: list[Any] = [self.schema.BufferT()]
        self.tensors: list[Any] = []
        self.codes: list[int] = []
        self.operators: list[Any] = []

    def tensor(self, name: str, shape: list[int], kind: int, data: np.ndarray | None = None) -> int:
        made = self.schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, shape, kind, 0
        if any(size < 0 for size in shape):
            made.shapeSignature, made.shape = shape, [max(size, 1) for size in shape]
        if data is not None:
            buffer = self.schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            self.buffers.append(buffer)
            made.buffer = len(self.buffers) - 1
        self.tensors.append(made)
        return len(self.tensors) - 1

    def operator(self, code: int, inputs: list[int], output: int, options: tuple[int, Any] | None = None) -> None:
        if code not in self.codes:
            self.codes.append(code)
        made = self.schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = self.codes.index(code), inputs, [output]
        if options:
            made.builtinOptionsType, made.builtinOptions = options
        self.operators.append(made)

    def write(self, path: Path, given: int, answer: int) -> Path:
        graph, model = self.schema.SubGraphT(), self.schema.ModelT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = self.tensors, self.operators, [given], [answer]
        model.version, model.subgraphs, model.buffers = 3, [graph], self.buffers
        model.operatorCodes = []
        for code in self.codes:
            entry = self.schema.OperatorCodeT()
            entry.deprecatedBuiltinCode = entry.builtinCode = code
            entry.version = 1
            model.operatorCodes.append(entry)
        flatbuffers: Any = pytest.importorskip("flatbuffers", reason="needs edgekd[litert]")
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(builder.Output()))
        return path


def build(path: Path, batch: int = -1, spoiled: bool = False, takes_bytes: bool = False) -> Path:
    """Write it: NHWC, any batch or a fixed one; `spoiled`: a weight is not a number; `takes_bytes`: uint8 in."""
    model = _Model()
    schema = model.schema
    w = weights()
    if spoiled:
        w["head"][0, 0] = np.nan
    shape = [batch, SIDE, SIDE, 3]
    first = given = model.tensor("images", shape, UINT8 if takes_bytes else FLOAT32)
    if takes_bytes:
        first = model.tensor("floats", shape, FLOAT32)
        model.operator(CAST, [given], first)
    ids = {
        name: model.tensor(name, list(value.shape), INT32 if name == "axes" else FLOAT32, value)
        for name, value in w.items()
    }
    maps = model.tensor("maps", [batch, 6, 6, WIDTH], FLOAT32)
    mean = model.tensor("mean", [batch, WIDTH], FLOAT32)
    logits = model.tensor("logits", [batch, CLASSES], FLOAT32)
    conv, reducer, dense = schema.Conv2DOptionsT(), schema.ReducerOptionsT(), schema.FullyConnectedOptionsT()
    conv.padding, conv.strideH, conv.strideW = 1, 1, 1
    options = schema.BuiltinOptions
    model.operator(CONV_2D, [first, ids["kernel"], ids["bias"]], maps, (options.Conv2DOptions, conv))
    model.operator(MEAN, [maps, ids["axes"]], mean, (options.ReducerOptions, reducer))
    model.operator(FULLY_CONNECTED, [mean, ids["head"], ids["offset"]], logits, (options.FullyConnectedOptions, dense))
    return model.write(path, given, logits)
