"""Labels and their cross-entropy, which every objective uses: mixed images have two, unlabelled ones (-1) none."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.data.batch import Batch
from edgekd.images.imageset import UNLABELLED


def target_shares(batch: Batch, teacher: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The classes an image stands for with their shares, as pairs of [batch]; the shares of an image add up to 1.

    Where a label is not known the teacher's own answer (from its logits [batch, classes]) takes its place.
    """
    answer = teacher.argmax(dim=1)

    def known(target: Tensor) -> Tensor:
        return torch.where(target == UNLABELLED, answer, target)

    whole = torch.ones_like(answer, dtype=torch.float32)
    if batch.partner_target is None or batch.share is None:
        return [(known(batch.target), whole)]
    return [(known(batch.target), batch.share), (known(batch.partner_target), whole - batch.share)]


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


def label_loss(logits: Tensor, batch: Batch, smoothing: float = 0.0, class_weights: Tensor | None = None) -> Tensor:
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


class LabelLoss(nn.Module):
    """`label_loss` with its settings: label smoothing and, where classes are weighted, their weights [classes]."""

    class_weights: Tensor | None

    def __init__(self, smoothing: float = 0.0, class_weights: Tensor | None = None) -> None:
        super().__init__()
        self.smoothing = smoothing
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, logits: Tensor, batch: Batch) -> Tensor:
        """The cross-entropy of logits [batch, classes]."""
        return label_loss(logits, batch, self.smoothing, self.class_weights)
