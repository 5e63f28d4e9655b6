"""What a distillation method is given and what it must state. A method is one file here plus one row of the table."""

from collections.abc import Collection, Mapping
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


def lacking(needs: Collection[str], gives: Collection[str]) -> list[str]:
    """The needs that are not given; of alternatives `a|b` one is enough."""
    return [need for need in sorted(needs) if not set(need.split("|")) & set(gives)]


class Method(Protocol):
    """A distillation loss; it may own parameters when it is an nn.Module."""

    needs: frozenset[str]
    """What both views must give: `logits`, `logits:topk`, `pooled`, `features:<tap>`, `tail`; `a|b` is either.

    Of `logits:topk` only the k largest are known, the others share their mass evenly: a method that accepts them
    has a `temperature`, and what is lost at that temperature must be small.
    """

    def bind(self, student: Spec, teacher: Spec) -> None:
        """Learn the shapes once, before training; raises UsageError when they cannot be matched."""

    def __call__(self, student: View, teacher: View, batch: Batch, progress: float) -> Tensor:
        """The loss, a scalar: a mean over the batch. `progress` runs from 0 to 1 over the training."""
