"""Which number format, layout and thread count are fastest here is measured, not guessed.

Formats are compared on one thread by that thread's processor time, which other work on the machine hardly changes;
over several threads it would count their waiting for each other.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from edgekd.compute import remembered as trials
from edgekd.compute.formats import (
    FEW,
    Format,
    FormatTrial,
    Layout,
    Precision,
    Step,
    measure_step,
    shortened,
    trial_batch,
)
from edgekd.compute.load import Watch
from edgekd.config import Machine
from edgekd.data.batch import Batch
from edgekd.errors import CheckpointError
from edgekd.profiling.device.host import read_host
from edgekd.report import Progress, Reporter

PASS_SECONDS = 0.3
"""About how long a pass of a trial takes."""
FEWEST_ROUNDS, MOST_ROUNDS = 2, 6
"""Candidates take turns until two rounds agree."""
STEADY = 1.2
"""Rounds agree when they have the same winner, and no candidate's times differ by more than this factor."""
HOPELESS = 3.0
"""A candidate so many times slower than the fastest on a few images is tried no further."""
BEATEN = 1.5
"""The same after a whole round."""
HEAD_START = 0.95
"""The time of what this processor is made for, and of all threads, counts for so much less: a trial is noisy."""
WEIGHTY = 0.8
"""The same where no two rounds agreed."""
LOSS_TOLERANCE = 0.02
"""A faster format must give the fp32 loss of the same batch within this share."""
THREAD_ROUNDS = 3
BF16_FEATURES = {"avx512_bf16", "amx_bf16", "bf16"}
"""What /proc/cpuinfo calls instructions for bf16."""


def choose_format(config: Machine, module: nn.Module, batch: Batch, step: Step, report: Reporter) -> Format:
    """The fastest format that `config` leaves open, by timing `step`; the values of `module` are left as they were.

    A faster format is taken only when its loss agrees with fp32's. What a trial found is remembered. Raises
    CheckpointError when the loss is no number.
    """
    candidates = _candidates(config, batch)
    few = batch.first(min(len(batch), FEW))
    expected = measure_step(candidates[0], module, few, step).loss
    if not math.isfinite(expected):
        raise CheckpointError(
            f"the network gives {expected} before anything is trained: its weights, or its teacher's, hold no numbers",
            "train or fetch them again",
        )
    if len(candidates) == 1:
        return candidates[0]
    key = trials.key_of(module, batch, (config.precision, config.memory_format))
    known = trials.recall(key) or {}
    for each in candidates:
        if (each.precision, each.memory_format) == (known.get("precision"), known.get("memory_format")) and (
            each.precision == candidates[0].precision or _is_close(measure_step(each, module, few, step).loss, expected)
        ):
            report.note(f"format: {each.precision} {each.memory_format} (as in an earlier trial here)")
            return each
    watch = Watch()
    with _alone(batch), report.stage("trying number formats", unit="trials") as progress:
        found = _Contest(module, batch, step, progress).hold(candidates)
    report.note(found.told)
    if complaint := watch.complaint():
        report.note(f"{complaint}; formats were compared by processor time, and all threads are used")
    if found.is_sure:
        trials.remember(key, {"precision": found.best.precision, "memory_format": found.best.memory_format})
    return found.best


@contextmanager
def _alone(batch: Batch) -> Iterator[None]:
    """One thread meanwhile, where torch computes on the CPU."""
    before = torch.get_num_threads()
    if batch.canvas.device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Found:
    """The winner, words on it, and whether to remember it: rounds agreed and none was refused for its loss."""

    best: Format
    told: str
    is_sure: bool


class _Contest:
    """Candidates tried in turn on a batch."""

    def __init__(self, module: nn.Module, batch: Batch, step: Step, progress: Progress) -> None:
        self.module, self.batch, self.step, self.progress = module, batch, step, progress
        self.is_cpu = batch.canvas.device.type == "cpu"
        self.seconds: dict[Format, list[float]] = {}
        self.usual = Format()

    def hold(self, candidates: Sequence[Format]) -> Found:
        """The fastest that computes the same as the first candidate, the reference."""
        reference = candidates[0]
        has_bf16 = self.is_cpu and bool(BF16_FEATURES & set(read_host().features))
        self.usual = (
            next((each for each in candidates if each.precision == "bf16"), reference) if has_bf16 else reference
        )
        few = self.batch.first(min(len(self.batch), FEW))
        quick = {each: self._try(each, few).seconds_per_image for each in candidates}
        # what has no instructions here (bf16 on an older processor) is tens of times slower: a few images tell
        left = [each for each in candidates if quick[each] <= HOPELESS * min(quick.values()) or each == reference]
        self.batch = shortened(self.batch, quick[reference], PASS_SECONDS)
        losses = self._round(left)
        expected = losses[reference]
        accurate = [each for each in left if _is_close(losses[each], expected)]
        refused = set(left) - set(accurate)
        tried = {each: min(self.seconds[each]) for each in left}
        leader = min(accurate, key=lambda each: tried[each])
        left = [each for each in accurate if tried[each] <= BEATEN * tried[leader] or quick[each] <= quick[leader]]
        agreed = self._until_rounds_agree(left)
        best = min(left, key=lambda each: self._weighed(each, min(self.seconds[each]), agreed))
        faster = [each for each in refused if tried[each] < min(self.seconds[best])]
        return Found(best, self._told(best, candidates), agreed and not faster)

    def _try(self, form: Format, batch: Batch) -> FormatTrial:
        trial = measure_step(
            form, self.module, batch, self.step, time.thread_time if self.is_cpu else time.perf_counter
        )
        self.progress.advance()
        return trial

    def _round(self, candidates: Sequence[Format]) -> dict[Format, float]:
        """Try each once more; the losses."""
        found = {each: self._try(each, self.batch) for each in candidates}
        for each, trial in found.items():
            self.seconds.setdefault(each, []).append(trial.seconds_per_image)
        return {each: trial.loss for each, trial in found.items()}

    def _until_rounds_agree(self, candidates: Sequence[Format]) -> bool:
        if len(candidates) == 1:
            return True
        while len(self.seconds[candidates[0]]) < MOST_ROUNDS:
            self._round(candidates)
            if self._agree(candidates):
                return True
        return False

    def _agree(self, candidates: Sequence[Format]) -> bool:
        """Whether the last two rounds tell the same."""
        last = [{each: self.seconds[each][at] for each in candidates} for at in (-2, -1)]
        winners = {min(candidates, key=lambda each: self._weighed(each, found[each], True)) for found in last}
        return len(winners) == 1 and all(_is_steady([found[each] for found in last]) for each in candidates)

    def _weighed(self, form: Format, seconds: float, agreed: bool) -> float:
        return seconds * ((HEAD_START if agreed else WEIGHTY) if form == self.usual else 1)

    def _told(self, best: Format, candidates: Sequence[Format]) -> str:
        rates = {each: 1 / max(min(self.seconds[each]), 1e-12) for each in candidates if each in self.seconds}
        told = ", ".join(f"{each.precision} {each.memory_format} {rate:,.0f}" for each, rate in rates.items())
        of = "images per second of one thread" if self.is_cpu else "images per second"
        return f"format: {best.precision} {best.memory_format} ({of} in a trial: {told})"


def _is_close(loss: float, expected: float) -> bool:
    return abs(loss - expected) <= LOSS_TOLERANCE * max(1, abs(expected))


def _candidates(config: Machine, batch: Batch) -> list[Format]:
    """What the options leave open; fp32 channels-last, the reference, comes first.

    bf16 is left out on a processor that is known to have no instructions for it.
    """
    precisions: tuple[Precision, ...] = ("fp32", "bf16") if config.precision == "auto" else (config.precision,)
    features = set(read_host().features)
    if config.precision == "auto" and batch.canvas.device.type == "cpu" and features and not features & BF16_FEATURES:
        precisions = ("fp32",)
    last_first: tuple[Layout, ...] = ("channels-last", "channels-first")
    layouts = last_first if config.memory_format == "auto" else (config.memory_format,)
    return [Format(precision, layout) for precision in precisions for layout in layouts]


def choose_threads(form: Format, module: nn.Module, batch: Batch, step: Step, report: Reporter) -> int:
    """All of this process's threads, or a half, a quarter ... where an idle machine shows that to be faster; sets them.

    Two threads on one core, and small steps on many cores, are slower than fewer threads; beside other work fewer
    always seem faster. What a trial on an idle machine found is remembered.
    """
    most = fewest = torch.get_num_threads()
    if batch.canvas.device.type != "cpu" or most == 1:
        return most
    key = trials.key_of(module, batch, ("threads", form.precision, form.memory_format))
    known = trials.recall(key) or {}
    if known.get("threads") in range(1, most + 1):
        fewest = known["threads"]
    else:
        watch = Watch()
        batch = trial_batch(module, batch, step)
        while fewest > 1 and _is_faster_with(fewest // 2, fewest, lambda: measure_step(form, module, batch, step)):
            fewest //= 2
        if watch.is_idle():
            trials.remember(key, {"threads": fewest})
        else:
            fewest = most
    torch.set_num_threads(fewest)
    if fewest < most:
        report.note(f"threads: {fewest} of {most} ({'as in an earlier trial here' if known else 'faster in a trial'})")
    return fewest


def _is_faster_with(fewer: int, threads: int, measured: Callable[[], FormatTrial]) -> bool:
    """Whether fewer threads are clearly faster in every round; mostly the first round tells that they are not."""
    rounds: list[list[float]] = []
    for _ in range(THREAD_ROUNDS):
        rounds.append([])
        for count in (threads, fewer):
            torch.set_num_threads(count)
            rounds[-1].append(measured().seconds_per_image)
        if rounds[-1][1] > HEAD_START * rounds[-1][0]:
            return False
    return all(_is_steady(each) for each in zip(*rounds, strict=True))


def _is_steady(seconds: Sequence[float]) -> bool:
    return max(seconds) <= STEADY * min(seconds)
