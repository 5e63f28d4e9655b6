"""An exported ONNX file as a classifier over canvases, with everything read from its own metadata."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.cores import available_cores
from edgekd.images.imageset import Split
from edgekd.report import Progress
from edgekd.runtimes.onnx_file import read_model
from edgekd.runtimes.preprocessing import prepare
from edgekd.runtimes.record import needed_for_images
from edgekd.runtimes.sample_inputs import logits_of
from edgekd.runtimes.scores import Tally
from edgekd.runtimes.session import open_session


@dataclass(frozen=True)
class OnnxPredictor:
    """`record` is the metadata of the file at `path`."""

    path: Path
    session: Any
    record: dict[str, Any]

    def logits(self, canvases: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Canvases, uint8 [n, S, S, C], to logits [n, classes]."""
        inputs = prepare(canvases, self.record["input_size"], self.record["mean"], self.record["std"])
        return logits_of(self.session, inputs, self.path)


def judge_file(
    answer: OnnxPredictor, split: Split, batch_size: int, progress: Progress, *, keep_failures: bool = False
) -> Tally:
    """The answers of a file to a split, its own preprocessing included."""
    tally = Tally(len(answer.record["classes"]), keep_failures)
    for start in range(0, len(split), batch_size):
        rows = slice(start, start + batch_size)
        tally.add(answer.logits(split.pixels.gather(split.index[rows])), split.targets[rows])
        progress.advance(len(split.targets[rows]))
    return tally


def open_predictor(path: str, threads: int | None) -> OnnxPredictor:
    """Open the file; raises CheckpointError when it is no ONNX file or was not exported by edgekd."""
    record = needed_for_images(read_model(Path(path)).record, Path(path))
    return OnnxPredictor(Path(path), open_session(Path(path), threads or available_cores()), record)
