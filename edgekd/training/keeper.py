"""What happens between steps: report, validate, keep the best, save the state, obey signals, stop early."""

import errno
import math
import os
import shutil
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
from torch import Tensor

from edgekd.compute.distributed import Agreement, RankLost, everyone
from edgekd.compute.evaluate import Score, evaluate_together
from edgekd.errors import CheckpointError, Interrupted
from edgekd.images.imageset import Split
from edgekd.models.weights import save_weights
from edgekd.reading import read_lines
from edgekd.report import Cell, Progress, Reporter, Silent
from edgekd.runs import Run, append_line, rewrite_lines
from edgekd.training.checksums import check_summed, summed
from edgekd.training.pace import Course, Pace
from edgekd.training.settings import Settled
from edgekd.training.update import LOSS, Update

SECONDS_BETWEEN_SAVES = 300.0
"""Long epochs are saved midway this often."""
SECONDS_BETWEEN_REPORTS = 0.5
NEXT_TO_NOTHING = 1 << 20
"""Bytes free on a disk that is full."""
SETTING = "set_"
"""Begins the name of a setting that changes over the training (`--ramp`), as it was at an epoch's last step."""
SECONDS_OF_ECHO = 3.0
"""torchrun passes a Ctrl-C on to processes that the terminal has told already: no second wish to stop."""


@dataclass
class Record:
    """What the keeper has seen; part of the saved state."""

    step: int = 0
    best_top1: float = -1.0
    best_loss: float = math.inf
    best_epoch: int = 0
    epochs_since_best: int = 0
    seconds: float = 0.0
    images: int = 0


def _save(state: dict[str, Any], path: Path) -> None:
    try:
        torch.save(state, path)
    except RuntimeError as error:  # torch's word for a full disk
        is_full = shutil.disk_usage(path.parent).free < NEXT_TO_NOTHING
        number = errno.ENOSPC if is_full else errno.EIO
        raise OSError(number, os.strerror(number)) from error


class Keeper:
    """Watches one training; `record` is where it stands.

    Ranks agree on what each decides, a step later than it is requested; only the first one writes.
    """

    def __init__(self, run: Run, update: Update, val: Split, config: Settled, steps_per_epoch: int) -> None:
        self.run = run
        self.update = update
        self.val = val
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self.record = Record()
        self.ranks = everyone()
        self.report: Reporter = Silent()
        self.course = Course(Pace(steps_per_epoch), (config.batch_size, len(val), len(val)))
        self.is_finished = False
        self._sums: dict[str, Tensor] = {}
        self._signal = 0
        self._agreement: Agreement | None = None
        self._saved_step: int | None = None
        self._progress: Progress | None = None
        self._total = 0
        self._marks = dict.fromkeys(("started", "saved", "reported", "epoch", "step"), time.monotonic())
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
            progress.advance(self.record.step, before=True)
            yield

    @contextmanager
    def _signals(self) -> Iterator[None]:
        # Only the main thread may set handlers; elsewhere (tests, notebooks) the default ones stay.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[signal.Signals, Any] = {
            each: signal.signal(each, self._caught) for each in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        except Interrupted:
            if self.ranks.world > 1:
                # torchrun now ends the others; that must not cut off what this one still has to write and say.
                before = dict.fromkeys(before, signal.SIG_IGN)
            raise
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._signal and (self.ranks.world == 1 or now - self._marks["signal"] > SECONDS_OF_ECHO):
            raise KeyboardInterrupt
        if not self._signal:
            self._signal, self._marks["signal"] = number, now

    def __call__(self, losses: dict[str, Tensor], images: int) -> None:
        """Take note of a finished step of so many images, of all ranks together.

        Raises Interrupted after a signal, once the state is saved.
        """
        self.course.stepped(time.monotonic() - self._marks["step"], self.record.step / max(self._total, 1))
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
            self._progress.show(loss=float(losses[LOSS]), best=max(self.record.best_top1, 0))
            if (left := self.course.left(self._total, self.record.step)) is not None:
                self._progress.expect(left)
            self._marks["reported"] = now
        number, is_due = self._agreed(self._signal, now - self._marks["saved"] > SECONDS_BETWEEN_SAVES)
        if number and not is_last:
            self._interrupt(number)
        if is_due:
            self.save()
        self._marks["step"] = time.monotonic()

    def _agreed(self, number: int, is_due: bool) -> tuple[int, bool]:
        """The signal to obey and whether to save: this process's own, or what all ranks wished one step ago."""
        if self.ranks.world == 1:
            return number, is_due
        before, self._agreement = self._agreement, None
        wished, is_saved = before.wait() if before is not None else (0.0, 0.0)
        self._agreement = self.ranks.most([number, is_due and not is_saved])
        return int(wished), bool(is_saved)

    def judge_start(self) -> None:
        """Make the weights as they are the best so far, as epoch 0."""
        score = evaluate_together(self.update.deployed, self.val, self.config.batch_size, self.update.form)
        self._keep_if_best(score, 0)
        self._marks["epoch"] = time.monotonic()

    def _keep_if_best(self, score: Score, epoch: int) -> bool:
        """Of equally accurate epochs the one of the smaller loss is better: a few images are soon all right.

        Without labelled validation images the newest weights are the best.
        """
        record = self.record
        if score.count and (score.top1, -score.loss) <= (record.best_top1, -record.best_loss):
            return False
        record.best_top1, record.best_loss, record.best_epoch = score.top1, score.loss, epoch
        record.epochs_since_best = 0
        self._marks["reported"] = 0.0  # shown at once
        if self.ranks.is_first:
            for name, network in self.update.kept.items():
                part = self.run.part(name)
                with summed(part, part.weights) as beside:
                    save_weights(network, beside)
        return True

    def _end_epoch(self) -> None:
        began = time.monotonic()
        training_seconds = began - self._marks["epoch"]
        score = evaluate_together(self.update.deployed, self.val, self.config.batch_size, self.update.form)
        self.course.validated(time.monotonic() - began)
        steps = max(1, (self.record.step - 1) % self.steps_per_epoch + 1)
        epoch = -(-self.record.step // self.steps_per_epoch)
        if not math.isfinite(score.loss):
            raise CheckpointError(
                f"epoch {epoch}: the validation loss is {score.loss}, so the training has diverged",
                "a smaller --lr, or --clip 1",
            )
        is_best = self._keep_if_best(score, epoch)
        if not is_best:
            self.record.epochs_since_best += 1
        row: dict[str, Cell] = {"epoch": epoch, "step": self.record.step}
        row |= {name: float(total) / steps for name, total in self._all_sums().items()}
        last = max(0, self.record.step - 1) / max(1, self._total)
        row |= {f"{SETTING}{name}": value for name, value in self.update.objective.changing(last).items()}
        row |= {"val_loss": score.loss, "val_top1": score.top1} if score.count else {}
        row |= {"best": is_best}
        row |= {"images_per_second": self._images_in_epoch / max(training_seconds, 1e-9)}
        if self.ranks.is_first:
            append_line(self.run.metrics, row)
        self.report.epoch(row | {"epochs": -(-self._total // self.steps_per_epoch)})
        self._sums, self._images_in_epoch = {}, 0
        self.is_finished = self.config.patience is not None and self.record.epochs_since_best >= self.config.patience
        self.save()
        self._marks["epoch"] = time.monotonic()

    def _all_sums(self) -> dict[str, Tensor]:
        """The loss parts summed over the steps of this epoch, of the whole batches."""
        if self.ranks.world == 1 or not self._sums:
            return self._sums
        totals = self.ranks.add([float(each) for each in self._sums.values()]).wait()
        means = [torch.tensor(total / self.ranks.world, device=self.update.device) for total in totals]
        return dict(zip(self._sums, means, strict=True))

    def lost(self) -> RankLost:
        """In words: another rank has gone in the middle of the training, and what is left of it."""
        saved = "nothing is saved yet" if self._saved_step is None else f"the state of step {self._saved_step} is saved"
        return RankLost(
            f"another process of this training has ended at step {self.record.step} of {self._total}; "
            f"{saved} in {self.run.path}",
            "the same command with --resume goes on, with as many processes as there are",
        )

    def _interrupt(self, number: int) -> None:
        self.save()
        raise Interrupted(
            f"interrupted at step {self.record.step} of {self._total}; the state is saved in {self.run.path}",
            "the same command with --resume goes on",
            number,
        )

    def save(self) -> None:
        """Write everything a resume needs to `last/`, atomically; any number of ranks can go on from it."""
        now = time.monotonic()
        self.record.seconds += now - self._marks["started"]
        self._marks["started"] = self._marks["saved"] = now
        state = {
            "record": asdict(self.record),
            "update": self.update.state_dict(),
            "sums": self._all_sums(),
            "images_in_epoch": self._images_in_epoch,
            "finished": self.is_finished,
            "rng": torch.get_rng_state(),
            "rng_cuda": torch.cuda.get_rng_state_all(),
        }
        if self.ranks.is_first:
            with summed(self.run, self.run.last) as beside:
                _save(state, beside)
        self.ranks.wait()
        self._saved_step = self.record.step

    def restore(self) -> bool:
        """Go on from `last/` when it is there; whether it was. Every rank reads it.

        Raises CheckpointError when it, or the best weights so far, are not what was written.
        """
        if not self.run.last.is_file():
            self._keep_lines()
            return False
        check_summed(self.run, self.run.last)
        try:
            state: dict[str, Any] = torch.load(self.run.last, weights_only=True, map_location=self.update.device)
            self.update.load_state_dict(state["update"])
            self.record = Record(**state["record"])
        except Exception as error:  # the unpickler answers a damaged file with errors of any kind
            raise CheckpointError(
                f"{self.run.last}: cannot be read ({error})", "--overwrite starts the run anew"
            ) from error
        if self.record.best_top1 >= 0:
            check_summed(self.run, self.run.weights)
        self._sums, self._images_in_epoch = state["sums"], state["images_in_epoch"]
        self.is_finished = state["finished"]
        torch.set_rng_state(state["rng"].cpu())
        torch.cuda.set_rng_state_all([each.cpu() for each in state.get("rng_cuda", [])][: torch.cuda.device_count()])
        self._keep_lines()
        self._saved_step = self.record.step
        return True

    def _keep_lines(self) -> None:
        """Drop what metrics.jsonl says of steps that will be done again."""
        if self.ranks.is_first:
            rows = read_lines(self.run.metrics, CheckpointError)
            kept = [row for row in rows if isinstance(row.get("step"), int) and row["step"] <= self.step]
            rewrite_lines(self.run.metrics, kept)
