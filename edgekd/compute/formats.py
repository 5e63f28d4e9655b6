"""Number formats and tensor layouts, and how long a step takes in one."""

import copy
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from edgekd.compute.allocator import keep_memory
from edgekd.compute.fast_layers import with_fast_layers, with_plain_layers
from edgekd.compute.float8 import with_float8_layers, without_float8_layers
from edgekd.config import Machine
from edgekd.data.batch import Batch
from edgekd.errors import MissingDependency, UsageError
from edgekd.models.network import Network
from edgekd.ranks import own_cores

Precision = Literal["auto", "fp32", "bf16", "fp16", "fp8"]
Layout = Literal["auto", "channels-first", "channels-last"]
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""What autocast computes in; fp8 replaces layers and leaves the others in float32."""
BF16_SINCE = (8, 0)
"""CUDA's compute capability from which a GPU computes bf16."""
MOST_SECONDS = 0.5
"""A step that has been tried this long is tried no further."""
FEW = 8
"""Images of a first, quick look."""


@dataclass(frozen=True)
class Format:
    """How numbers are held (`fp32`; `bf16` or `fp16` under autocast; `fp8` by layers) and how images lie in memory."""

    precision: Precision = "fp32"
    memory_format: Layout = "channels-last"

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """The context in which forward passes run."""
        half = HALF.get(self.precision)
        return torch.autocast(device.type, dtype=half or torch.bfloat16, enabled=half is not None)

    def scaler(self, device: torch.device) -> torch.amp.GradScaler:
        """What keeps gradients of fp16 from vanishing; does nothing in other formats."""
        return torch.amp.GradScaler(device.type, enabled=self.precision == "fp16")

    def prepare(self, module: nn.Module) -> None:
        """Lay the weights out for this format and take the fast layers; networks lay out their input accordingly.

        `release` undoes it. Parameters and results stay the same.

        timm's attention is computed in steps on a CPU: torch's fused one is for long sequences, and its backward pass
        in bf16 takes five times as long at the few tokens that small images have (docs/training.md).
        """
        without_float8_layers(module)
        if self.precision == "fp8":
            with_float8_layers(with_plain_layers(module))
        with_fast_layers(module)
        last = self.memory_format == "channels-last"
        module.to(memory_format=torch.channels_last if last else torch.contiguous_format)
        is_fused = next(module.buffers()).device.type != "cpu"
        part: Any
        for part in module.modules():
            if isinstance(part, Network):
                part.is_channels_last = last
            elif hasattr(part, "fused_attn"):
                part.fused_attn = is_fused


def release(module: nn.Module) -> None:
    """Undo `Format.prepare`: the layers that the network was built with, channels first."""
    without_float8_layers(module)
    with_plain_layers(module)
    module.to(memory_format=torch.contiguous_format)
    part: Any
    for part in module.modules():
        if isinstance(part, Network):
            part.is_channels_last = False
        elif hasattr(part, "fused_attn"):
            part.fused_attn = True


def device_of(config: Machine) -> torch.device:
    """The device requested, or the best there is; also sets the number of CPU threads and how memory is kept."""
    keep_memory()
    torch.set_num_threads(config.threads or own_cores())
    if config.torch_device == "cuda" and not torch.cuda.is_available():
        raise MissingDependency(
            "--torch-device cuda: torch finds no CUDA device here", "leave it out, or install a CUDA build and driver"
        )
    name = config.torch_device
    device = torch.device(name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
    if config.precision == "bf16" and device.type == "cuda" and torch.cuda.get_device_capability() < BF16_SINCE:
        raise UsageError(
            f"--precision bf16: {torch.cuda.get_device_name()} has no instructions for it",
            "it computes fp32 and fp16, and simulates fp8",
        )
    return device


Step = Callable[[Batch], torch.Tensor]
"""One pass over a batch, forward and, for training, backward; gives the loss or another scalar of it."""


@dataclass(frozen=True)
class FormatTrial:
    """Seconds per image of the fastest pass, and the loss of the first."""

    seconds_per_image: float
    loss: float


def measure_step(
    form: Format, module: nn.Module, batch: Batch, step: Step, clock: Callable[[], float] = time.perf_counter
) -> FormatTrial:
    """Time `step` in a format by `clock`, then put the module's state and the random numbers back."""
    before = copy.deepcopy(module.state_dict())
    was_training = module.training
    form.prepare(module)
    with torch.random.fork_rng():
        trial = _time(form, batch, step, clock)
    module.load_state_dict(before)
    module.zero_grad(set_to_none=True)
    module.train(was_training)
    return trial


def _time(form: Format, batch: Batch, step: Step, clock: Callable[[], float]) -> FormatTrial:
    times: list[float] = []
    losses: list[float] = []
    while len(times) < 2 or (len(times) < 8 and sum(times) < MOST_SECONDS):
        started = clock()
        with form.autocast(batch.canvas.device):
            losses.append(float(step(batch)))
        times.append(clock() - started)
        if sum(times) > MOST_SECONDS:
            break
    return FormatTrial(min(times) / len(batch), losses[0])


def trial_batch(module: nn.Module, batch: Batch, step: Step) -> Batch:
    """The batch, or so much of it that a pass takes about a second: a large network is slow on a small machine."""
    few = batch.first(min(len(batch), FEW))
    return shortened(batch, measure_step(Format(), module, few, step).seconds_per_image, 1.0)


def shortened(batch: Batch, seconds_per_image: float, seconds: float) -> Batch:
    """So much of the batch that a pass takes about `seconds`, a few images at least."""
    return batch.first(max(min(len(batch), FEW), min(len(batch), int(seconds / max(seconds_per_image, 1e-9)))))
