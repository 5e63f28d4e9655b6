"""What is learnt: named loss parts of a batch. Frozen teachers are held outside the module tree."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.data.batch import Batch
from edgekd.images.imageset import UNLABELLED
from edgekd.methods.contract import Method, View
from edgekd.models.network import Network
from edgekd.teachers import Teacher


def cross_entropy(logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """Mean cross-entropy over the labelled images of the batch; 0 when there are none.

    `logits` [batch, classes], `target` [batch] with -1 for unlabelled.
    """
    labelled = (target != UNLABELLED).sum().clamp(min=1)
    total = F.cross_entropy(logits.float(), target, ignore_index=UNLABELLED, label_smoothing=smoothing, reduction="sum")
    return total / labelled


class Supervised(nn.Module):
    """Labels only."""

    def __init__(self, network: Network, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.network = network
        self.label_smoothing = label_smoothing

    @property
    def deployed(self) -> Network:
        """The network to evaluate and save."""
        return self.network

    def forward(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """`ce` alone."""
        return {"ce": cross_entropy(self.network(batch.canvas), batch.target, self.label_smoothing)}


class Distillation(nn.Module):
    """(1 - alpha) * cross-entropy + alpha * the method's loss (P2's objective when the method is kd)."""

    def __init__(self, student: Network, teacher: Teacher, method: Method, weights: tuple[float, float]) -> None:
        """`weights`: alpha and the label smoothing of the cross-entropy."""
        super().__init__()
        self.student = student
        self.method = method
        self.alpha, self.label_smoothing = weights
        # A teacher inside the module tree would be trained, switched to train mode and saved with the student.
        self._outside: dict[str, Any] = {"teacher": teacher}

    @property
    def deployed(self) -> Network:
        """The network to evaluate and save."""
        return self.student

    def forward(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """`ce` and `kd`, each already weighted."""
        logits = self.student(batch.canvas)
        target = self._outside["teacher"](batch)
        parts = {"kd": self.alpha * self.method(View(logits=logits), target, batch, progress)}
        if self.alpha < 1:
            parts["ce"] = (1 - self.alpha) * cross_entropy(logits, batch.target, self.label_smoothing)
        return parts
