"""An ONNX Runtime session as edgekd measures it: on the CPU, with its threads stated."""

import re
from pathlib import Path
from typing import Any

import onnxruntime

from edgekd.errors import CheckpointError
from edgekd.shortage import shortage_in

_NOISE = (
    r"\[ONNXRuntimeError\] : \d+ : \w+ : ",
    r"/\S*onnxruntime\S*:\d+ [^()]*\([^()]*\)(?: const)? ?",
    r"Exception during (?:initialization|loading): ",
    r"Load model from .*? failed: ?",
)
_LONGEST = 240

QUIET = 3
"""ONNX Runtime's log level "error": its warnings on odd graphs are not the user's."""


def open_session(path: Path, threads: int, options: Any = None) -> Any:  # noqa: ANN401
    """A session on `threads` threads; raises CheckpointError when ONNX Runtime refuses the file."""
    settings = options or onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = QUIET
    try:
        session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions share no base class
        if (lacking := shortage_in(str(error))) is not None:
            raise lacking from error
        raise CheckpointError(
            f"{path}: ONNX Runtime {onnxruntime.__version__} cannot load it ({plain_words(error)})",
            "export it again, for operators and an opset that this ONNX Runtime knows",
        ) from error
    if not session.get_outputs():
        raise CheckpointError(f"{path}: it has no outputs, so there is nothing to run", "export it again")
    return session


def plain_words(error: Exception) -> str:
    """An exception's message on one line, without the places in ONNX Runtime's own source, and not too long."""
    words = " ".join(str(error).split())
    for noise in _NOISE:
        words = re.sub(noise, "", words)
    return (words if len(words) <= _LONGEST else f"{words[: _LONGEST - 3]}...") or type(error).__name__
