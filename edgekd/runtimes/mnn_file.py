"""What an .mnn file says of itself: its record, and whether its flatbuffer (MNN.fbs, table Net) is whole."""

from pathlib import Path

from edgekd.errors import CheckpointError
from edgekd.runtimes.attachment import read_attached
from edgekd.runtimes.flatbuffer import root
from edgekd.runtimes.model_file import ModelFile, hash_files

LAYERS, WEIGHTS_BESIDE = 3, ".weight"


def read_model(path: Path) -> ModelFile:
    """Read the facts; raises CheckpointError when the file is missing, cut or not an MNN model."""
    try:
        layers = sum(1 for each in root(memoryview(path.read_bytes())).tables(LAYERS) if each.text(3) is not None)
        if not layers:
            raise ValueError("it holds no layers")
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file", "give an .mnn file") from error
    except (OSError, ValueError, IndexError) as error:
        raise CheckpointError(f"{path}: not an MNN model, or cut short ({error})", "export or copy it again") from error
    beside = path.with_name(path.name + WEIGHTS_BESIDE)
    files = (path, beside) if beside.is_file() else (path,)
    record = read_attached(path)
    return ModelFile(
        path=path,
        size_bytes=sum(each.stat().st_size for each in files),
        sha256=hash_files(files),
        weights=None,
        precision=str((record or {}).get("precision", "unknown")),
        operators={},
        files=files,
        record=record,
        runtime="mnn",
    )
