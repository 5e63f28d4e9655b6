"""An ONNX Runtime session as edgekd measures it: on the CPU, with its threads stated."""

from pathlib import Path
from typing import Any

import onnxruntime

from edgekd.errors import CheckpointError
from edgekd.runtimes.runtime import plain_words
from edgekd.shortage import shortage_in

__all__ = ["QUIET", "open_session", "plain_words"]

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
