"""What a .tflite file says of itself, read from its flatbuffer (schema.fbs of LiteRT) without a runtime."""

import math
from collections import Counter
from pathlib import Path

from edgekd.errors import CheckpointError
from edgekd.runtimes.attachment import read_attached
from edgekd.runtimes.flatbuffer import FlatTable, root
from edgekd.runtimes.model_file import ModelFile, hash_files

MARK = b"TFL3"
"""The format's identifier, at byte 4."""
KINDS = {0: "fp32", 1: "fp16", 3: "int8", 9: "int8", 10: "fp64", 17: "int4", 18: "bf16"}
"""Tensor types that weights come in."""
OPERATORS = {
    0: "ADD", 1: "AVERAGE_POOL_2D", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 6: "DEQUANTIZE", 9: "FULLY_CONNECTED",
    14: "LOGISTIC", 17: "MAX_POOL_2D", 18: "MUL", 19: "RELU", 21: "RELU6", 22: "RESHAPE", 25: "SOFTMAX", 34: "PAD",
    39: "TRANSPOSE", 40: "MEAN", 114: "QUANTIZE", 117: "HARD_SWISH", 126: "BATCH_MATMUL",
}  # fmt: skip
"""Names of the usual builtin operators; others are shown by number."""


def read_model(path: Path) -> ModelFile:
    """Read the facts; raises CheckpointError when the file is missing, cut or not a LiteRT model."""
    try:
        content = path.read_bytes()
        if content[4:8] != MARK:
            raise ValueError(f"bytes 4 to 8 are not {MARK.decode()}")
        operators, kinds = _survey(root(memoryview(content)))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file", "give a .tflite file") from error
    except (OSError, ValueError, IndexError) as error:
        raise CheckpointError(
            f"{path}: not a LiteRT model, or cut short ({error})", "export or copy it again"
        ) from error
    most = kinds.most_common(1)
    return ModelFile(
        path=path,
        size_bytes=len(content),
        sha256=hash_files([path]),
        weights=sum(kinds.values()),
        precision=most[0][0] if most else "fp32",
        operators=dict(operators),
        files=(path,),
        record=read_attached(path),
        runtime="litert",
    )


def _survey(model: FlatTable) -> tuple[Counter[str], Counter[str]]:
    """Operators by name, and weights by precision."""
    codes = [_name(each) for each in model.tables(1)]
    lengths = [max(each.length(0), each.number(2, "Q")) for each in model.tables(4)]
    operators: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    graphs = 0
    for graph in model.tables(2):
        graphs += 1
        operators.update(codes[each.number(0, "I")] for each in graph.tables(3))
        for tensor in graph.tables(0):
            shape, kind = tensor.numbers(0), KINDS.get(tensor.number(1, "b"))
            if kind and shape and lengths[tensor.number(2, "I")]:
                kinds[kind] += math.prod(shape)
    if not graphs:
        raise ValueError("it holds no graph")
    return operators, kinds


def _name(code: FlatTable) -> str:
    number = max(code.number(0, "b"), code.number(3))
    return code.text(1) or OPERATORS.get(number, f"builtin {number}")
