"""A deployed model file as a classifier over canvases, with everything read from its own metadata."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd.cores import available_cores
from edgekd.images.imageset import Split
from edgekd.report import Progress
from edgekd.runtimes.preprocessing import feed_of
from edgekd.runtimes.record import Record, needed_for_images
from edgekd.runtimes.runtime import Session, run
from edgekd.runtimes.scores import Tally
from edgekd.runtimes.suffixes import describe, open_model


@dataclass(frozen=True)
class FilePredictor:
    """`record` is the metadata of the file at `path`."""

    path: Path
    session: Session
    record: Record

    def logits(self, canvases: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Canvases, uint8 [n, S, S, C], to logits [n, classes]."""
        return run(self.session, feed_of(canvases, self.record, self.session.inputs[0]), self.path)


def judge_file(
    answer: FilePredictor, split: Split, batch_size: int, progress: Progress, *, keep_failures: bool = False
) -> Tally:
    """The answers of a file to a split, its own preprocessing included."""
    tally = Tally(len(answer.record["classes"]), keep_failures)
    for start in range(0, len(split), batch_size):
        rows = slice(start, start + batch_size)
        tally.add(answer.logits(split.pixels.gather(split.index[rows])), split.targets[rows])
        progress.advance(len(split.targets[rows]))
    return tally


def open_predictor(path: str, threads: int | None) -> FilePredictor:
    """Open the file; raises CheckpointError when it is no model file or was not exported by edgekd."""
    record = needed_for_images(describe(Path(path)).record, Path(path))
    return FilePredictor(Path(path), open_model(Path(path), threads or available_cores()), record)
