"""An exported ONNX file as a classifier over canvases, with everything read from its own metadata."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.profiling.modelfile import read_model
from edgekd.profiling.preprocessing import prepare
from edgekd.profiling.record import needed_for_images
from edgekd.profiling.session import open_session
from edgekd.runs import available_cores


@dataclass(frozen=True)
class OnnxPredictor:
    """`record` is the file's metadata."""

    session: Any
    record: dict[str, Any]

    def logits(self, canvases: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Canvases, uint8 [n, S, S, C], to logits [n, classes]."""
        inputs = prepare(canvases, self.record["input_size"], self.record["mean"], self.record["std"])
        given = self.session.get_inputs()[0]
        kind = np.float16 if given.type == "tensor(float16)" else np.float32
        return np.asarray(self.session.run(None, {given.name: inputs.astype(kind)})[0], np.float32)


def open_predictor(path: str, threads: int | None) -> OnnxPredictor:
    """Open the file; raises CheckpointError when it is no ONNX file or was not exported by edgekd."""
    record = needed_for_images(read_model(Path(path)).record, Path(path))
    return OnnxPredictor(open_session(Path(path), threads or available_cores()), record)
