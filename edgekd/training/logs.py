"""Every epoch's figures for TensorBoard, beside metrics.jsonl, which they are taken from."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any

from edgekd.config import Fit
from edgekd.errors import CheckpointError
from edgekd.ranks import place
from edgekd.reading import read_lines
from edgekd.report import Cell, Progress, Reporter
from edgekd.runs import Run, clear

FOLDER = "tensorboard"
"""Within the run's folder."""
TAGS = {"val_top1": "val/top1", "val_loss": "val/loss", "images_per_second": "speed/images_per_second"}
"""Names in TensorBoard of figures that are no part of the training loss."""
NO_FIGURES = ("epoch", "epochs", "step", "best")


class TensorBoard:
    """A Reporter that hands everything on to another one and logs the epochs of a run.

    The first epoch it receives writes the log anew from metrics.jsonl, so that a resumed run's has no gaps and no
    epoch twice.
    """

    def __init__(self, report: Reporter, run: Run) -> None:
        self._report = report
        self._run = run
        self._writer: Any = None

    def note(self, text: str) -> None:
        """Hand on."""
        self._report.note(text)

    def warn(self, text: str) -> None:
        """Hand on."""
        self._report.warn(text)

    def stage(self, title: str, total: int | None = None, unit: str = "") -> AbstractContextManager[Progress]:
        """Hand on."""
        return self._report.stage(title, total, unit)

    def epoch(self, row: Mapping[str, Cell]) -> None:
        """Hand on and log, at the step that the epoch ended with."""
        self._report.epoch(row)
        if self._writer is None:
            clear(self._run.path / FOLDER)
            writer = import_module("torch.utils.tensorboard").SummaryWriter
            self._writer = writer(str(self._run.path / FOLDER))
            for each in read_lines(self._run.metrics, CheckpointError):
                self._log(each)
        else:
            self._log(row)
        self._writer.flush()

    def _log(self, row: Mapping[str, Any]) -> None:
        for name, value in row.items():
            if name not in NO_FIGURES and isinstance(value, int | float):
                self._writer.add_scalar(TAGS.get(name, f"train/{name}"), value, row["step"])

    def close(self) -> None:
        """End the log's file."""
        if self._writer is not None:
            self._writer.close()


@contextmanager
def logging_epochs(report: Reporter, run: Run, config: Fit) -> Iterator[Reporter]:
    """The reporter that a training is to have: `report`, or of the first process one that also logs its epochs."""
    if config.log == "none" or not place().is_first:
        yield report
        return
    board = TensorBoard(report, run)
    try:
        yield board
    finally:
        board.close()
