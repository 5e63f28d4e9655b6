"""An ONNX Runtime session as edgekd measures it: on the CPU, with its threads stated."""

from pathlib import Path
from typing import Any

import onnxruntime

from edgekd.errors import CheckpointError

QUIET = 3
"""ONNX Runtime's log level "error": its warnings on odd graphs are not the user's."""


def open_session(path: Path, threads: int, options: Any = None) -> Any:  # noqa: ANN401
    """A session on `threads` threads; raises CheckpointError when ONNX Runtime refuses the file."""
    settings = options or onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = QUIET
    try:
        return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions share no base class
        raise CheckpointError(
            f"{path}: ONNX Runtime {onnxruntime.__version__} cannot load it ({first_line(error)})",
            "export it again, for operators and an opset that this ONNX Runtime knows",
        ) from error


def first_line(error: Exception) -> str:
    """The first line of an exception's message, shortened."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if len(line) <= 200 else line[:197] + "..."
