"""Which runtime a model file needs: the one place that reads its suffix."""

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.errors import MissingDependency
from edgekd.runtimes.model_file import ModelFile

if TYPE_CHECKING:  # numpy stays out of processes that only describe files
    from edgekd.runtimes.runtime import Runtime, Session


@dataclass(frozen=True)
class Entry:
    """A runtime: its name, the modules here that run and describe its files, its package, the extra with that."""

    name: str
    module: str
    reader: str
    package: str
    extra: str


ONNX = ".onnx"
RUNTIMES = {
    ONNX: Entry("onnxruntime", "onnx_runtime", "onnx_file", "onnxruntime", ""),
    ".tflite": Entry("litert", "litert", "tflite_file", "ai_edge_litert", "litert"),
    ".mnn": Entry("mnn", "mnn", "mnn_file", "MNN", "mnn"),
}
"""By suffix. A name with another suffix is taken for ONNX, as files being written have names of their own."""


def is_model_file(name: str | Path | None) -> bool:
    """Whether a name is that of a deployed model file, rather than of a run."""
    return name is not None and Path(name).suffix in RUNTIMES


def runtime_of(path: Path) -> "Runtime":
    """The runtime for files of this suffix; its package is only loaded when a file is opened."""
    found: Runtime = importlib.import_module(f"edgekd.runtimes.{entry_of(path).module}").RUNTIME
    return found


def entry_of(path: Path) -> Entry:
    """The row of the table for a file."""
    return RUNTIMES.get(path.suffix, RUNTIMES[ONNX])


def describe(path: Path) -> ModelFile:
    """Facts of a file without running it; raises CheckpointError when it is missing, cut, or of another kind."""
    found: ModelFile = importlib.import_module(f"edgekd.runtimes.{entry_of(path).reader}").read_model(path)
    return found


def open_model(path: Path, threads: int) -> "Session":
    """The file as its runtime runs it; raises MissingDependency without that, CheckpointError when it is refused."""
    return runtime_of(path).open(path, threads)


def check_package(suffix: str) -> None:
    """Raise MissingDependency where a runtime's package is not installed, without loading it."""
    package = RUNTIMES[suffix].package
    if package not in sys.modules and importlib.util.find_spec(package) is None:
        raise _missing(suffix, f"no package {package}")


def load_package(suffix: str, module: str = "") -> Any:  # noqa: ANN401
    """A runtime's package, or a module of it; raises MissingDependency naming the extra."""
    try:
        return importlib.import_module(f"{RUNTIMES[suffix].package}{module}")
    except ImportError as error:
        raise _missing(suffix, str(error)) from error


def _missing(suffix: str, words: str) -> MissingDependency:
    entry = RUNTIMES[suffix]
    return MissingDependency(
        f"{suffix} files need {entry.package}, which cannot be loaded ({words})",
        f"pip install 'edgekd[{entry.extra}]'" if entry.extra else "install edgekd with its requirements again",
    )
