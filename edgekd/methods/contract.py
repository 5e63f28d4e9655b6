"""What a distillation method is given and what it must state. A method is one file here plus one row of the table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from edgekd.data.batch import Batch


@dataclass(frozen=True)
class View:
    """What a network says of a batch: `logits` [batch, classes], `pooled` [batch, width], feature maps by tap."""

    logits: Tensor | None = None
    pooled: Tensor | None = None
    features: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Spec:
    """What is known of a network before any batch: its classes and what its views give."""

    classes: int
    gives: frozenset[str]


class Method(Protocol):
    """A distillation loss; it may own parameters when it is an nn.Module."""

    needs: frozenset[str]
    """What both views must give: `logits`, `logits:topk`, `pooled`, `features:<tap>`, `tail`."""

    def bind(self, student: Spec, teacher: Spec) -> None:
        """Learn the shapes once, before training; raises UsageError when they cannot be matched."""

    def __call__(self, student: View, teacher: View, batch: Batch, progress: float) -> Tensor:
        """The loss, a scalar: a mean over the batch. `progress` runs from 0 to 1 over the training."""
