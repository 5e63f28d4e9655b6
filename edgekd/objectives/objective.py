"""What every objective states, and how its parts become one number."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from edgekd.data.batch import Batch
from edgekd.images.imageset import UNLABELLED
from edgekd.methods.contract import Part
from edgekd.models.network import Network


class Objective(nn.Module):
    """Named loss parts of a batch, and the networks that learn from them.

    A frozen teacher is held outside the module tree: inside it would be trained, switched to train mode and saved.
    """

    networks: Mapping[str, Network]
    """The networks that are trained, by the name under which they are kept; "" is the run's own."""
    has_strong_view: bool = False
    """Whether batches must hold the strong view too."""
    is_relational: bool = False
    """Whether a part compares images with each other, so that pieces of a batch give another value than the whole."""

    @property
    def primary(self) -> Network:
        """The network by whose validation the best epoch is chosen."""
        return self.networks[""]

    def forward(self, batch: Batch, progress: float, turn: str | None = None) -> dict[str, Part]:
        """The parts of the batch; with `turn` only those from which this one of `networks` learns."""
        raise NotImplementedError

    def changing(self, progress: float) -> dict[str, float]:
        """Settings that change over the training, as they are at this point of it, by name."""
        return {}


class Trainable(Protocol):
    """What trials ask of an objective."""

    def __call__(self, batch: Batch, progress: float) -> dict[str, Part]:
        """The parts of the batch."""


def weighted_sum(parts: Mapping[str, Part]) -> Tensor:
    """The loss: the sum of the parts by their weights, a scalar."""
    return torch.stack([part.weight * part.value for part in parts.values()]).sum()


def known_labels(batch: Batch) -> float:
    """How many labels `label_loss` is a mean of, before it counts less than one as one."""
    known = (batch.target != UNLABELLED).float()
    if batch.partner_target is None or batch.share is None:
        return float(known.sum())
    return float((batch.share * known + (1 - batch.share) * (batch.partner_target != UNLABELLED)).sum())
