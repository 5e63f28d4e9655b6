"""A float16 copy of an ONNX file, with float32 in and out."""

import warnings

import numpy as np
from onnx import ModelProto, TensorProto
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers.float16 import convert_float_to_float16

from edgekd.errors import CheckpointError


def to_half(model: ModelProto) -> ModelProto:
    """The model with float16 weights and arithmetic; raises CheckpointError where a weight does not fit float16."""
    _check_range(model)
    copied = ModelProto()
    copied.CopyFrom(model)
    with warnings.catch_warnings():
        # tiny weights become 0 in float16, and the converter says so of every one
        warnings.simplefilter("ignore")
        halved: ModelProto = convert_float_to_float16(copied, keep_io_types=True, disable_shape_infer=False)
    ONNXModel(halved).topological_sort()
    return halved


def _check_range(model: ModelProto) -> None:
    largest = float(np.finfo(np.float16).max)
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or not tensor.raw_data:
            continue
        peak = float(np.abs(np.frombuffer(tensor.raw_data, np.float32)).max(initial=0))
        if peak > largest:
            raise CheckpointError(f"{tensor.name}: holds {peak:.3g}, float16 ends at {largest:g}", "keep it in float32")
