"""A backbone as an ONNX file with a dynamic batch and edgekd's metadata."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from edgekd.errors import CheckpointError

KEY = "edgekd"
"""The metadata entry that holds everything as one JSON object."""
INPUT, OUTPUT = "input", "logits"


@dataclass(frozen=True)
class Versions:
    """What a runtime must know to load a file: the set of operators and the format of the file (IR)."""

    opset: int
    ir: int


def write_onnx(
    backbone: nn.Module,
    example: Tensor,
    path: Path,
    opset: int,
    metadata: dict[str, Any],
    outputs: Sequence[str] = (OUTPUT,),
) -> Versions:
    """Write `backbone` (float [batch, C, S, S] -> [batch, classes]) with its metadata; the versions as read back.

    `example` is a prepared input of at least two images; `outputs` are named where the backbone gives several. Raises
    CheckpointError when the exporter cannot do it.
    """
    backbone.eval()
    model = _exported(backbone, example.contiguous(), opset, outputs)
    _tidy(model)
    path.write_bytes(model.SerializeToString())
    write_metadata(path, metadata)
    return versions(onnx.load(path))


def write_metadata(path: Path, metadata: dict[str, Any]) -> None:
    """Put the metadata into a file, in the place of what it had."""
    model = onnx.load(path)
    others = [each for each in model.metadata_props if each.key != KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(others)
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(metadata, sort_keys=True, ensure_ascii=False)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def versions(model: onnx.ModelProto) -> Versions:
    """The opset and the IR version that a model declares."""
    return Versions(
        max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0),
        model.ir_version,
    )


def _tidy(model: onnx.ModelProto) -> None:
    """The oldest file format that the operators allow, and nothing in it that only the exporter has a use for."""
    graph = model.graph
    # tracebacks with the places of source files on this machine
    for each in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer, graph):
        del each.metadata_props[:]
        each.doc_string = ""
    # ONNX Runtime's dynamic quantisation replaces weights by others of another shape, but not what is said of them
    weights = {each.name for each in graph.initializer}
    kept = [each for each in graph.value_info if each.name not in weights]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """The exporter prints its progress and tracebacks of what it tried; what fails is raised, and told by us."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _exported(backbone: nn.Module, example: Tensor, opset: int, outputs: Sequence[str]) -> onnx.ModelProto:
    try:
        with _quietly():
            program = torch.onnx.export(
                backbone,
                (example,),
                dynamo=True,
                input_names=[INPUT],
                output_names=list(outputs),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=opset,
                external_data=False,
                verbose=False,
            )
        if program is None:
            raise TypeError("it gives no program")
        model: onnx.ModelProto = program.model_proto
    except (RuntimeError, ValueError, TypeError, torch.onnx.OnnxExporterError) as error:
        raise CheckpointError(
            f"{type(backbone).__name__}: the ONNX exporter cannot translate it ({str(error).splitlines()[0]})",
            "replace the operation it names, or try another --opset",
        ) from error
    return model


def fix_batch(path: Path, batch: int) -> None:
    """Let the file take exactly `batch` images at once."""
    model = onnx.load(path)
    for each in (*model.graph.input, *model.graph.output):
        each.type.tensor_type.shape.dim[0].dim_value = batch
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, path)
