"""What every contestant shares: its job, the images in memory, the loss, the clock, and the figures it hands back.

It runs in the other tools' environments, so it needs nothing of edgekd.
"""

import json
import math
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nets
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

PAD = 4
CHECKED = 512
"""Images whose stored logits are computed again."""


@dataclass(frozen=True)
class Job:
    """One training: `layout` and `precision` of the networks, `cache` a folder to make one in, or None for live."""

    folder: str
    result: str
    started: float
    teacher_name: str
    teacher_run: str
    student: str
    data: dict[str, Any]
    classes: int
    epochs: int
    batch_size: int
    seed: int
    threads: int
    is_augmented: bool
    layout: str
    precision: str
    cache: str | None
    lr: float
    momentum: float
    weight_decay: float
    warmup: float
    alpha: float
    temperature: float

    @property
    def views(self) -> int:
        """Views a cache needs so that every epoch shows what the teacher saw."""
        return self.epochs if self.is_augmented else 1

    def rate(self, progress: float) -> float:
        """Share of the peak learning rate: linear rise, then a cosine."""
        if progress < self.warmup:
            return 0.05 + 0.95 * progress / self.warmup
        return 0.5 * (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup)))


def read_job() -> Job:
    """The job named on the command line; sets the number of threads."""
    found = Job(**json.loads(Path(sys.argv[1]).read_text()))
    torch.set_num_threads(found.threads)
    torch.manual_seed(found.seed)
    return found


class Images:
    """Images in memory, the training ones padded by reflection, and their batches as normalised float32."""

    def __init__(self, job: Job) -> None:
        self.job = job
        with np.load(Path(job.folder) / "images.npz") as stored:
            held = {name: torch.from_numpy(stored[name]) for name in stored.files}
        self.train, self.targets = held["train"], held["train_targets"]
        self.val, self.val_targets = held["val"], held["val_targets"]
        self.offset = held["mean"].float().view(1, 3, 1, 1) * 255
        self.scale = 1 / (held["std"].float().view(1, 3, 1, 1) * 255)
        bordered = np.pad(self.train.numpy(), ((0, 0), (PAD, PAD), (PAD, PAD), (0, 0)), "reflect")
        self.padded = torch.from_numpy(bordered)

    @property
    def steps(self) -> int:
        """Whole batches in an epoch."""
        return len(self.train) // self.job.batch_size

    def normalise(self, canvases: Tensor) -> Tensor:
        """uint8 [n, side, side, 3] to float32 [n, 3, side, side] in the job's layout."""
        found = (canvases.permute(0, 3, 1, 2).float() - self.offset).mul_(self.scale)
        return found if self.job.layout == "channels-last" else found.contiguous()

    def view(self, number: int, index: Tensor) -> Tensor:
        """These images in view `number`, cropped and flipped by one gather; the plain ones without augmentation."""
        if not self.job.is_augmented:
            return self.normalise(self.train[index])
        draw = torch.Generator().manual_seed(1000 * self.job.seed + number)
        shift = torch.randint(0, 2 * PAD + 1, (len(self.train), 2), generator=draw)[index]
        flip = (torch.rand(len(self.train), generator=draw) < 0.5)[index]
        side = torch.arange(self.train.shape[1])
        down = shift[:, :1] + side
        right = shift[:, 1:] + torch.where(flip[:, None], side.flip(0), side)
        return self.normalise(self.padded[index[:, None, None], down[:, :, None], right[:, None, :]])

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Images, targets and places of an epoch's batches in random order."""
        draw = torch.Generator().manual_seed(7919 * self.job.seed + number)
        order = torch.randperm(len(self.train), generator=draw)
        for index in order[: self.steps * self.job.batch_size].split(self.job.batch_size):
            yield self.view(number, index), self.targets[index], index

    def plain(self, canvases: Tensor) -> Iterator[Tensor]:
        """Unvaried images in batches of 250."""
        return (self.normalise(part) for part in canvases.split(250))


def networks(job: Job) -> tuple[nn.Module, nn.Module]:
    """The frozen teacher and the student with the weights everyone starts from, in the job's layout."""
    teacher = getattr(nets, job.teacher_name)(job.classes)
    teacher.load_state_dict(load_file(Path(job.teacher_run) / "model.safetensors"))
    student = nets.resnet20(job.classes)
    student.load_state_dict(load_file(job.student))
    layout = torch.channels_last if job.layout == "channels-last" else torch.contiguous_format
    teacher.eval().requires_grad_(False).to(memory_format=layout)
    return teacher, student.to(memory_format=layout)


def loss_of(job: Job, logits: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
    """(1 - alpha) * cross-entropy + alpha * T^2 * KL."""
    student_log, teacher_log = (F.log_softmax(each.float() / job.temperature, dim=1) for each in (logits, teacher))
    soft = F.kl_div(student_log, teacher_log, reduction="batchmean", log_target=True) * job.temperature**2
    return (1 - job.alpha) * F.cross_entropy(logits.float(), targets) + job.alpha * soft


def make_optimizer(job: Job, parameters: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
    """Nesterov SGD, fused."""
    settings: dict[str, Any] = {"lr": job.lr, "momentum": job.momentum, "weight_decay": job.weight_decay}
    return torch.optim.SGD(parameters, nesterov=True, fused=True, **settings)


def train(job: Job, images: Images, student: nn.Module, epoch: Callable[[int], Iterator[Tensor]]) -> dict[str, Any]:
    """Run the epochs, each an iterator over the detached losses of its steps; figures of the training."""
    seconds: list[float] = []
    losses: list[Tensor] = []
    first = 0.0
    for number in range(job.epochs):
        student.train()
        losses, started = [], time.perf_counter()
        for loss in epoch(number):
            losses.append(loss)
            first = first or time.time() - job.started
        seconds.append(time.perf_counter() - started)
    return {
        "epoch_s": seconds,
        "images_per_epoch": len(losses) * job.batch_size,
        "first_step_s": first,
        "loss": float(torch.stack(losses).mean()),
        "val_top1": accuracy(student, images),
    }


@torch.no_grad()
def accuracy(network: nn.Module, images: Images) -> float:
    """Top-1 over the validation images."""
    network.eval()
    chosen = torch.cat([network(part).argmax(1) for part in images.plain(images.val)])
    return float((chosen == images.val_targets).float().mean())


def logit_error(stored: Tensor, computed: Tensor) -> float:
    """Largest difference of two sets of logits, relative to the largest logit."""
    return float((stored.float() - computed.float()).abs().max() / computed.abs().max())


def weigh(folder: Path, image_views: int) -> dict[str, float]:
    """Bytes per image and view, and how many files."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return {"bytes_per_view": sum(sizes) / image_views, "files": len(sizes)}


def hand_back(job: Job, figures: dict[str, Any]) -> None:
    """Write the figures for the parent, with the most memory this process ever held, MB (10^6 bytes)."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    held = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), None)
    peak = held or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    Path(job.result).write_text(json.dumps(figures | {"peak_rss_mb": peak / 1e6}))
