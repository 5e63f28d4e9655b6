"""What is learnt: named loss parts of a batch. Frozen teachers are held outside the module tree."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.data.batch import Batch
from edgekd.images.imageset import UNLABELLED
from edgekd.methods.contract import Method, View
from edgekd.models.network import Network
from edgekd.teachers.teacher import Teacher


def cross_entropy(logits: Tensor, target: Tensor, smoothing: float, class_weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy over the labelled images of the batch; 0 when there are none.

    `logits` [batch, classes], `target` [batch] with -1 for unlabelled. `class_weights` [classes] have a mean of 1 over
    the training images, so the mean is over images, weighted or not.
    """
    labelled = (target != UNLABELLED).sum().clamp(min=1)
    total = F.cross_entropy(
        logits.float(),
        target,
        class_weights,
        ignore_index=UNLABELLED,
        label_smoothing=smoothing,
        reduction="sum",
    )
    return total / labelled


def label_loss(logits: Tensor, batch: Batch, smoothing: float, class_weights: Tensor | None = None) -> Tensor:
    """The cross-entropy of a batch; a mixed image has two labels, weighted by their shares (mixup, CutMix).

    A label that is not known is left out with its weight: the loss is the weighted mean over the labels there are,
    where weights that sum to less than one image count as one.
    """
    if batch.partner_target is None or batch.share is None:
        return cross_entropy(logits, batch.target, smoothing, class_weights)
    total, weight = logits.new_zeros((), dtype=torch.float32), batch.share.new_zeros(())
    for target, share in ((batch.target, batch.share), (batch.partner_target, 1 - batch.share)):
        losses = F.cross_entropy(
            logits.float(),
            target,
            class_weights,
            ignore_index=UNLABELLED,
            label_smoothing=smoothing,
            reduction="none",
        )
        total = total + (losses * share).sum()
        weight = weight + (share * (target != UNLABELLED)).sum()
    return total / weight.clamp(min=1)


LABEL_PART = "ce"
"""The loss part that is a mean over labels; all others are means over the images of a batch."""


def label_weight(batch: Batch) -> float:
    """What `label_loss` divides by, before it counts less than one image as one."""
    known = (batch.target != UNLABELLED).float()
    if batch.partner_target is None or batch.share is None:
        return float(known.sum())
    return float((batch.share * known + (1 - batch.share) * (batch.partner_target != UNLABELLED)).sum())


class Supervised(nn.Module):
    """Labels only."""

    class_weights: Tensor | None

    def __init__(self, network: Network, label_smoothing: float = 0.0, class_weights: Tensor | None = None) -> None:
        super().__init__()
        self.network = network
        self.label_smoothing = label_smoothing
        self.register_buffer("class_weights", class_weights, persistent=False)

    @property
    def deployed(self) -> Network:
        """The network to evaluate and save."""
        return self.network

    def forward(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """`ce` alone."""
        return {"ce": label_loss(self.network(batch.canvas), batch, self.label_smoothing, self.class_weights)}


class Distillation(nn.Module):
    """(1 - alpha) * cross-entropy + alpha * the method's loss (P2's objective when the method is kd)."""

    class_weights: Tensor | None

    def __init__(
        self,
        student: Network,
        teacher: Teacher,
        method: Method,
        weights: tuple[float, float],
        class_weights: Tensor | None = None,
    ) -> None:
        """`weights`: alpha and the label smoothing of the cross-entropy; `class_weights` [classes] are its own."""
        super().__init__()
        self.student = student
        self.method = method
        self.alpha, self.label_smoothing = weights
        self.register_buffer("class_weights", class_weights, persistent=False)
        # A teacher inside the module tree would be trained, switched to train mode and saved with the student.
        self._outside: dict[str, Any] = {"teacher": teacher}

    @property
    def deployed(self) -> Network:
        """The network to evaluate and save."""
        return self.student

    @property
    def teacher(self) -> Teacher:
        """Who is asked."""
        teacher: Teacher = self._outside["teacher"]
        return teacher

    def forward(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """`ce` and `kd`, each already weighted."""
        # The teacher first: while the student's activations are kept, its own would need fresh memory.
        target = self.teacher(batch)
        logits = self.student(batch.canvas)
        parts = {"kd": self.alpha * self.method(View(logits=logits), target, batch, progress)}
        if self.alpha < 1:
            parts["ce"] = (1 - self.alpha) * label_loss(logits, batch, self.label_smoothing, self.class_weights)
        return parts
