"""Number format, tensor layout, threads: which are fastest here is measured, not guessed."""

import copy
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from edgekd.allocator import keep_memory
from edgekd.config import Machine
from edgekd.data.batch import Batch
from edgekd.errors import CheckpointError, MissingDependency
from edgekd.models.network import Network
from edgekd.ranks import own_cores
from edgekd.report import Reporter
from edgekd.training import trials

Precision = Literal["auto", "fp32", "bf16"]
Layout = Literal["auto", "channels-first", "channels-last"]
MOST_SECONDS = 0.5
"""A candidate that has been tried this long is tried no further in this round."""
ROUNDS = 3
"""Candidates take turns, so that other work on the machine meets them all."""
HEAD_START = 0.95
"""The usual choice's time (fp32, all threads) counts for so much less: a trial is noisy."""
STEADY = 1.2
"""Where a trial's rounds differ by more the machine was busy: no format is remembered, no thread left out."""
FEW = 8
"""Images of a first, quick look."""
HOPELESS = 3.0
"""A candidate so many times slower than the fastest on a few images is not tried on the batch."""
LOSS_TOLERANCE = 0.02
"""A faster format must give the fp32 loss of the same batch within this share."""


@dataclass(frozen=True)
class Format:
    """How numbers are held (`fp32`, or `bf16` under autocast) and how images lie in memory."""

    precision: Precision = "fp32"
    memory_format: Layout = "channels-last"

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """The context in which forward passes run."""
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")

    def apply(self, module: nn.Module) -> None:
        """Lay the weights out for this format; networks lay out their input accordingly.

        timm's attention is computed in steps on a CPU: torch's fused one is for long sequences, and its backward pass
        in bf16 takes five times as long at the few tokens that small images have (docs/training.md).
        """
        last = self.memory_format == "channels-last"
        module.to(memory_format=torch.channels_last if last else torch.contiguous_format)
        is_fused = next(module.buffers()).device.type != "cpu"
        part: Any
        for part in module.modules():
            if isinstance(part, Network):
                part.is_channels_last = last
            elif hasattr(part, "fused_attn"):
                part.fused_attn = is_fused


def device_of(config: Machine) -> torch.device:
    """The device asked for, or the best there is; also sets the number of CPU threads and how memory is kept."""
    keep_memory()
    torch.set_num_threads(config.threads or own_cores())
    if config.torch_device == "cuda" and not torch.cuda.is_available():
        raise MissingDependency(
            "--torch-device cuda: torch finds no CUDA device here", "leave it out, or install a CUDA build and driver"
        )
    if config.torch_device != "auto":
        return torch.device(config.torch_device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


Step = Callable[[Batch], torch.Tensor]
"""One pass over a batch, forward and, for training, backward; gives the loss or another scalar of it."""


def choose_format(config: Machine, module: nn.Module, batch: Batch, step: Step, report: Reporter) -> Format:
    """The fastest format that `config` leaves open, by timing `step`; the values of `module` are left as they were.

    A faster format is taken only when its loss agrees with fp32's. What a trial found is remembered. Raises
    CheckpointError when the loss is no number in fp32.
    """
    candidates = _candidates(config)
    if len(candidates) == 1:
        return candidates[0]
    key = trials.key_of(module, batch, (config.precision, config.memory_format))
    known = trials.recall(key) or {}
    for each in candidates:
        if (each.precision, each.memory_format) == (known.get("precision"), known.get("memory_format")) and (
            each.precision == candidates[0].precision or _agree(candidates[0], each, module, batch, step)
        ):
            report.note(f"format: {each.precision} {each.memory_format} (as in an earlier trial here)")
            return each
    best, is_steady = _fastest(candidates, module, batch, step, report)
    if is_steady:
        trials.remember(key, {"precision": best.precision, "memory_format": best.memory_format})
    return best


def _agree(reference: Format, form: Format, module: nn.Module, batch: Batch, step: Step) -> bool:
    """Whether a remembered format does for these weights too, on a few images."""
    few = batch.first(min(len(batch), FEW))
    return _is_close(*(measure_step(each, module, few, step).loss for each in (form, reference)))


def _is_close(loss: float, expected: float) -> bool:
    return abs(loss - expected) <= LOSS_TOLERANCE * max(1, abs(expected))


def choose_threads(form: Format, module: nn.Module, batch: Batch, step: Step, report: Reporter) -> int:
    """With how many of this process's threads `step` is fastest, all of them or a half, a quarter ...; sets them.

    Two threads on one core, and small steps on many cores, are slower than fewer threads. What a trial found is
    remembered.
    """
    most = fewest = torch.get_num_threads()
    if batch.canvas.device.type != "cpu" or most == 1:
        return most
    key = trials.key_of(module, batch, ("threads", form.precision, form.memory_format))
    known = trials.recall(key) or {}
    if known.get("threads") in range(1, most + 1):
        fewest = known["threads"]
    else:
        batch = trial_batch(module, batch, step)
        while fewest > 1 and _is_faster_with(fewest // 2, fewest, lambda: measure_step(form, module, batch, step)):
            fewest //= 2
        trials.remember(key, {"threads": fewest})
    torch.set_num_threads(fewest)
    if fewest < most:
        report.note(f"threads: {fewest} of {most} ({'as in an earlier trial here' if known else 'faster in a trial'})")
    return fewest


def _is_faster_with(fewer: int, threads: int, measured: Callable[[], "Trial"]) -> bool:
    """Whether fewer threads are clearly faster in every round; mostly the first round tells that they are not.

    Rounds that differ much tell of other work on the machine, beside which fewer threads always do better.
    """
    rounds: list[list[float]] = []
    for _ in range(ROUNDS):
        rounds.append([])
        for count in (threads, fewer):
            torch.set_num_threads(count)
            rounds[-1].append(measured().seconds_per_image)
        if rounds[-1][1] > HEAD_START * rounds[-1][0]:
            return False
    return all(_is_steady(each) for each in zip(*rounds, strict=True))


def _is_steady(seconds: Sequence[float]) -> bool:
    return max(seconds) <= STEADY * min(seconds)


def _fastest(
    candidates: list[Format], module: nn.Module, batch: Batch, step: Step, report: Reporter
) -> tuple[Format, bool]:
    """The fastest that computes the same, and whether to remember it: the rounds agreed and none was refused."""
    few = batch.first(min(len(batch), FEW))
    quick = {each: measure_step(each, module, few, step).seconds_per_image for each in candidates}
    # what has no instructions here (bf16 on an older CPU) is tens of times slower: a few images tell
    candidates = [each for each in candidates if quick[each] <= HOPELESS * min(quick.values()) or each == candidates[0]]
    batch = _shortened(batch, quick[candidates[0]])
    rounds = [{each: measure_step(each, module, batch, step) for each in candidates} for _ in range(ROUNDS)]
    seconds = {each: [found[each].seconds_per_image for found in rounds] for each in candidates}
    losses = {each: rounds[0][each].loss for each in candidates}
    expected = losses[candidates[0]]
    if not math.isfinite(expected):
        raise CheckpointError(
            f"the network gives {expected} before anything is trained: its weights, or its teacher's, hold no numbers",
            "train or fetch them again",
        )
    accurate = [each for each in candidates if _is_close(losses[each], expected)]

    def weighed(each: Format) -> float:
        return min(seconds[each]) * (HEAD_START if each == candidates[0] else 1)

    best = min(accurate, key=weighed)
    told = ", ".join(f"{each.precision} {each.memory_format} {1 / min(seconds[each]):,.0f}" for each in candidates)
    report.note(f"format: {best.precision} {best.memory_format} (images per second in a trial: {told})")
    # What was refused for its loss may do with other weights.
    is_by_speed = best == min(candidates, key=weighed)
    return best, is_by_speed and all(_is_steady(each) for each in seconds.values())


def _candidates(config: Machine) -> list[Format]:
    """What the options leave open; fp32 channels-last, the reference, comes first."""
    precisions: tuple[Precision, ...] = ("fp32", "bf16") if config.precision == "auto" else (config.precision,)
    last_first: tuple[Layout, ...] = ("channels-last", "channels-first")
    layouts = last_first if config.memory_format == "auto" else (config.memory_format,)
    return [Format(precision, layout) for precision in precisions for layout in layouts]


@dataclass(frozen=True)
class Trial:
    """Seconds per image of the fastest pass, and the loss of the first."""

    seconds_per_image: float
    loss: float


def measure_step(form: Format, module: nn.Module, batch: Batch, step: Step) -> Trial:
    """Time `step` in a format, then put the module's state and the random numbers back."""
    before = copy.deepcopy(module.state_dict())
    was_training = module.training
    form.apply(module)
    with torch.random.fork_rng():
        trial = _time(form, batch, step)
    module.load_state_dict(before)
    module.zero_grad(set_to_none=True)
    module.train(was_training)
    return trial


def _time(form: Format, batch: Batch, step: Step) -> Trial:
    times: list[float] = []
    losses: list[float] = []
    while len(times) < 2 or (len(times) < 8 and sum(times) < MOST_SECONDS):
        started = time.perf_counter()
        with form.autocast(batch.canvas.device):
            losses.append(float(step(batch)))
        times.append(time.perf_counter() - started)
        if sum(times) > MOST_SECONDS:
            break
    return Trial(min(times) / len(batch), losses[0])


def trial_batch(module: nn.Module, batch: Batch, step: Step) -> Batch:
    """The batch, or so much of it that a pass takes about a second: a large network is slow on a small machine."""
    few = batch.first(min(len(batch), FEW))
    return _shortened(batch, measure_step(Format(), module, few, step).seconds_per_image)


def _shortened(batch: Batch, seconds_per_image: float) -> Batch:
    return batch.first(max(min(len(batch), FEW), min(len(batch), int(1.0 / seconds_per_image))))
