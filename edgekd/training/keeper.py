"""What happens between steps: report, validate, keep the best, save the state, obey signals, stop early."""

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from edgekd.config import Fit
from edgekd.errors import CheckpointError, Interrupted
from edgekd.images.imageset import Split
from edgekd.models.network import Network
from edgekd.report import Cell, Progress, Reporter, Silent
from edgekd.runs import Run, append_line, atomic, read_lines, rewrite_lines
from edgekd.training.evaluate import evaluate
from edgekd.training.update import Update

SECONDS_BETWEEN_SAVES = 300.0
"""Long epochs are saved midway this often."""
SECONDS_BETWEEN_REPORTS = 0.5


@dataclass
class Record:
    """What the keeper has seen; part of the saved state."""

    step: int = 0
    best_top1: float = -1.0
    best_epoch: int = 0
    epochs_since_best: int = 0
    seconds: float = 0.0
    images: int = 0


def save_weights(network: Network, path: Path) -> None:
    """Write the plain network's weights as safetensors, atomically; loadable without edgekd."""
    state = {name: value.detach().cpu().contiguous() for name, value in network.backbone.state_dict().items()}
    with atomic(path) as beside:
        save_file(state, beside)


class Keeper:
    """Watches one training; `record` is where it stands."""

    def __init__(self, run: Run, update: Update, val: Split, config: Fit, steps_per_epoch: int) -> None:
        self.run = run
        self.update = update
        self.val = val
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self.record = Record()
        self.report: Reporter = Silent()
        self.is_finished = False
        self._sums: dict[str, Tensor] = {}
        self._signal = 0
        self._progress: Progress | None = None
        self._total = 0
        self._marks = dict.fromkeys(("started", "saved", "reported", "epoch"), time.monotonic())
        self._images_in_epoch = 0

    @property
    def step(self) -> int:
        """Optimiser steps done."""
        return self.record.step

    @contextmanager
    def watching(self, total_steps: int) -> Iterator[None]:
        """Catch Ctrl-C and SIGTERM and show progress while the loop runs."""
        self._total = total_steps
        self._marks = dict.fromkeys(self._marks, time.monotonic())
        with self._signals(), self.report.stage("training", total_steps, "steps") as progress:
            self._progress = progress
            progress.advance(self.record.step)
            yield

    @contextmanager
    def _signals(self) -> Iterator[None]:
        # Only the main thread may set handlers; elsewhere (tests, notebooks) the default ones stay.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self._caught) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if self._signal:
            raise KeyboardInterrupt
        self._signal = number

    def __call__(self, losses: dict[str, Tensor], images: int) -> None:
        """Take note of a finished step.

        Raises Interrupted after a signal, once the state is saved.
        """
        self.record.step += 1
        self.record.images += images
        self._images_in_epoch += images
        for name, loss in losses.items():
            self._sums[name] = self._sums[name] + loss if name in self._sums else loss.clone()
        if self._progress is not None:
            self._progress.advance()
        is_last = self.record.step == self._total
        if self.record.step % self.steps_per_epoch == 0 or is_last:
            self._end_epoch()
        now = time.monotonic()
        if now - self._marks["reported"] > SECONDS_BETWEEN_REPORTS and self._progress is not None:
            self._progress.show(loss=sum(float(each) for each in losses.values()), best=max(self.record.best_top1, 0))
            self._marks["reported"] = now
        if self._signal and not is_last:
            self._interrupt()
        if now - self._marks["saved"] > SECONDS_BETWEEN_SAVES:
            self.save()

    def _end_epoch(self) -> None:
        training_seconds = time.monotonic() - self._marks["epoch"]
        score = evaluate(self.update.deployed, self.val, self.config.batch_size or 250, self.update.form)
        steps = max(1, (self.record.step - 1) % self.steps_per_epoch + 1)
        epoch = -(-self.record.step // self.steps_per_epoch)
        if not math.isfinite(score.loss):
            raise CheckpointError(
                f"epoch {epoch}: the validation loss is {score.loss}, so the training has diverged",
                "a smaller --lr, or --clip 1",
            )
        is_best = score.top1 > self.record.best_top1
        if is_best:
            self.record.best_top1, self.record.best_epoch, self.record.epochs_since_best = score.top1, epoch, 0
            save_weights(self.update.deployed, self.run.weights)
        else:
            self.record.epochs_since_best += 1
        row: dict[str, Cell] = {"epoch": epoch, "step": self.record.step}
        row |= {name: float(total) / steps for name, total in self._sums.items()}
        row |= {"val_loss": score.loss, "val_top1": score.top1, "best": is_best}
        row |= {"images_per_second": self._images_in_epoch / max(training_seconds, 1e-9)}
        append_line(self.run.metrics, row)
        self.report.epoch(row)
        self._sums, self._images_in_epoch = {}, 0
        self.is_finished = self.config.patience is not None and self.record.epochs_since_best >= self.config.patience
        self.save()
        self._marks["epoch"] = time.monotonic()

    def _interrupt(self) -> None:
        self.save()
        raise Interrupted(
            f"interrupted at step {self.record.step} of {self._total}; the state is saved in {self.run.path}",
            "the same command with --resume goes on",
            self._signal,
        )

    def save(self) -> None:
        """Write everything a resume needs to `last/`, atomically."""
        now = time.monotonic()
        self.record.seconds += now - self._marks["started"]
        self._marks["started"] = self._marks["saved"] = now
        state = {
            "record": asdict(self.record),
            "update": self.update.state_dict(),
            "sums": self._sums,
            "images_in_epoch": self._images_in_epoch,
            "finished": self.is_finished,
            "rng": torch.get_rng_state(),
        }
        with atomic(self.run.last) as beside:
            torch.save(state, beside)

    def restore(self) -> bool:
        """Go on from `last/` when it is there; whether it was.

        Raises CheckpointError when it cannot be read.
        """
        if not self.run.last.is_file():
            rewrite_lines(self.run.metrics, [])
            return False
        try:
            state: dict[str, Any] = torch.load(self.run.last, weights_only=True, map_location=self.update.device)
            self.update.load_state_dict(state["update"])
            self.record = Record(**state["record"])
        except Exception as error:  # the unpickler answers a damaged file with errors of any kind
            raise CheckpointError(
                f"{self.run.last}: cannot be read ({error})", "--overwrite starts the run anew"
            ) from error
        self._sums, self._images_in_epoch = state["sums"], state["images_in_epoch"]
        self.is_finished = state["finished"]
        torch.set_rng_state(state["rng"].cpu())
        rewrite_lines(self.run.metrics, [row for row in read_lines(self.run.metrics) if row["step"] <= self.step])
        return True
