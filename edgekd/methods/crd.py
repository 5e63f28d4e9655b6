"""Contrastive representation distillation: Tian, Krishnan, Isola (2020), arXiv 1910.10699, section 3.

Student and teacher are to give one image embeddings that a critic tells apart from those of other images, which lie in
two memories, one row per training image.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.data.batch import Batch
from edgekd.errors import UsageError
from edgekd.methods.contract import Method, Part, Side
from edgekd.methods.ranges import check_above_zero, check_share
from edgekd.methods.rkd import pooled_of
from edgekd.methods.softening import without_autocast
from edgekd.models.outputs import POOLED, Output

SMALLEST = 1e-7


def crd_loss(positive: Tensor, negative: Tensor, noise: float) -> Tensor:
    """-log h of the positives [batch] minus the sum of log(1 - h) of the negatives [batch, count], mean over the batch.

    The scores are exp(product / temperature) / Z, and h = score / (score + noise); `noise` is count / images. A
    negative of score 0 says nothing.
    """
    found = (positive / (positive + noise + SMALLEST)).log()
    told_apart = ((noise + SMALLEST) / (negative + noise + SMALLEST)).log().sum(dim=1)
    return -(found + told_apart).mean()


@dataclass(frozen=True)
class Options:
    """The paper's values: width of the embeddings, negatives per step, temperature, momentum of the memories."""

    width: int = 128
    negatives: int = 16384
    temperature: float = 0.07
    momentum: float = 0.5
    weight: float = 0.8


class Crd(Method):
    """The method `crd`. Its memories are saved and resumed; it runs in one process.

    The negatives of a step are drawn once and shared by the images of the batch, an image's own row left out; the
    paper draws them for each image. So a step takes negatives * width numbers, not batch times as many.
    """

    follows = frozenset({"weight"})
    student_needs = frozenset({"logits", POOLED})
    teacher_needs = frozenset({POOLED})
    is_relational = True
    ours: Tensor
    theirs: Tensor
    scale: Tensor

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_above_zero(options, "width", "negatives", "temperature", "weight")
        check_share(options, "momentum")
        self.options = options

    def build(self, student: Side, teacher: Side) -> None:
        """Make the two embeddings and the memories of both sides; they need to know how many images there are."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            raise UsageError("--method crd: its memories live in one process", "start it without torchrun")
        samples = max(student.samples, teacher.samples)
        if samples < 2:
            raise UsageError(
                f"--method crd: {samples} training images are too few to tell apart", "use rkd, or more images"
            )
        width = self.options.width
        self.student_embedding = nn.Linear(student.shapes[POOLED][0], width)
        self.teacher_embedding = nn.Linear(teacher.shapes[POOLED][0], width)
        for name in ("ours", "theirs"):
            self.register_buffer(name, F.normalize(torch.randn(samples, width), dim=1))
        # Z of both scores; 0 until the first step has set it.
        self.register_buffer("scale", torch.zeros(2))

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`crd` over the batch and its memories."""
        pooled, their_pooled = pooled_of(student, teacher)
        with without_autocast(pooled):
            ours = F.normalize(self.student_embedding(pooled), dim=1)
            theirs = F.normalize(self.teacher_embedding(their_pooled), dim=1)
            rows = self._rows(batch)
            drawn = torch.randint(len(self.ours), (min(self.options.negatives, len(self.ours)),), device=rows.device)
            loss = self._contrast(ours, self.theirs, rows, drawn, 0) + self._contrast(theirs, self.ours, rows, drawn, 1)
        if self.training:
            self._remember(rows, ours.detach(), theirs.detach())
        return {"crd": Part(loss, self.options.weight, "batch")}

    def _rows(self, batch: Batch) -> Tensor:
        if np.max(batch.index) >= len(self.ours):
            raise UsageError(
                f"--method crd: image {np.max(batch.index)} is not among its {len(self.ours)} rows",
                "more images than at the start: train anew with --overwrite",
            )
        return torch.from_numpy(np.ascontiguousarray(batch.index)).to(self.ours.device)

    def _contrast(self, embedded: Tensor, memory: Tensor, rows: Tensor, drawn: Tensor, side: int) -> Tensor:
        """The loss of embeddings [batch, width] of one side against the other side's memory [images, width]."""
        positive = (embedded * memory[rows]).sum(dim=1).div(self.options.temperature).exp()
        negative = (embedded @ memory[drawn].T).div(self.options.temperature).exp()
        is_own = rows[:, None] == drawn[None]
        if self.scale[side] == 0:
            self.scale[side] = torch.cat([positive[:, None], negative], dim=1).mean().detach() * len(memory)
        scale = self.scale[side].clone()
        return crd_loss(positive / scale, (negative / scale).masked_fill(is_own, 0.0), len(drawn) / len(memory))

    @torch.no_grad()
    def _remember(self, rows: Tensor, ours: Tensor, theirs: Tensor) -> None:
        for memory, embedded in ((self.ours, ours), (self.theirs, theirs)):
            mixed = self.options.momentum * memory[rows] + (1 - self.options.momentum) * embedded
            memory[rows] = F.normalize(mixed, dim=1)


def create(options: Options) -> Crd:
    """The method with these settings."""
    return Crd(options)
