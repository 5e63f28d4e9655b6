"""A backbone as an ONNX file with a dynamic batch and edgekd's metadata."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from edgekd.errors import CheckpointError

KEY = "edgekd"
"""The metadata entry that holds everything as one JSON object."""
INPUT, OUTPUT = "input", "logits"


def write_onnx(
    backbone: nn.Module,
    example: Tensor,
    path: Path,
    opset: int,
    metadata: dict[str, Any],
    outputs: Sequence[str] = (OUTPUT,),
) -> None:
    """Write `backbone` (float [batch, C, S, S] -> [batch, classes]) with its metadata.

    `example` is a prepared input of at least two images; `outputs` are named where the backbone gives several. Raises
    CheckpointError when the exporter cannot do it.
    """
    backbone.eval()
    _export(backbone, example.contiguous(), path, opset, outputs)
    write_metadata(path, metadata)


def write_metadata(path: Path, metadata: dict[str, Any]) -> None:
    """Put the metadata into a file, in the place of what it had."""
    model = onnx.load(path)
    others = [each for each in model.metadata_props if each.key != KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(others)
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(metadata, sort_keys=True, ensure_ascii=False)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _export(backbone: nn.Module, example: Tensor, path: Path, opset: int, outputs: Sequence[str]) -> None:
    # The exporter prints its progress and warns of its own internals; stdout belongs to the result.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                backbone,
                (example,),
                str(path),
                dynamo=True,
                input_names=[INPUT],
                output_names=list(outputs),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=opset,
                external_data=False,
                verbose=False,
            )
    except (RuntimeError, ValueError, TypeError, torch.onnx.OnnxExporterError) as error:
        raise CheckpointError(
            f"{type(backbone).__name__}: the ONNX exporter cannot translate it ({str(error).splitlines()[0]})",
            "replace the operation it names, or try another --opset",
        ) from error


def fix_batch(path: Path, batch: int) -> None:
    """Let the file take exactly `batch` images at once."""
    model = onnx.load(path)
    for each in (*model.graph.input, *model.graph.output):
        each.type.tensor_type.shape.dim[0].dim_value = batch
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, path)
