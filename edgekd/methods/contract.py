"""What a distillation method is given and what it must state. A method is one file here plus one row of the table."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from torch import Tensor, nn

from edgekd.data.batch import Batch
from edgekd.methods.ranges import Ramp, between
from edgekd.models.outputs import Output
from edgekd.models.tails import Tail

Family = Literal["cnn", "vit", "swin", "mixer", "other"]
Over = Literal["images", "labels", "batch"]


@dataclass(frozen=True)
class Side:
    """What is known of a student or a teacher before any batch: everything it could give, with shapes.

    `gives` holds `logits` or `logits:topk`, `pooled`, `features:<tap>`, `prefix:<tap>`, `heads:<name>`, `tail`.
    `shapes` are without the batch: `features:<tap>` (channels, height, width), `prefix:<tap>` (count, channels),
    `pooled` (width,). `stages` are the automatic taps in order. `samples`: how many training images there are (their
    `Batch.index` lies below it). `name`: the model's. `tail`: the rest of a frozen teacher behind its last-but-one
    stage, `classifier`: its final linear layer, where they can be had.
    """

    classes: int
    gives: frozenset[str]
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    stages: tuple[str, ...] = ()
    samples: int = 0
    family: Family = "other"
    name: str = ""
    tail: Tail | None = None
    classifier: nn.Module | None = None


@dataclass(frozen=True)
class Part:
    """A named piece of a loss: `value` a scalar in its own scale, `weight` what it counts for in the sum.

    `over` is what `value` is a mean of: images, labels (the known ones), or the batch as a whole. A relational value
    cannot be put together from pieces of a batch: its method says so in its docstring and `is_relational`.
    """

    value: Tensor
    weight: float = 1.0
    over: Over = "images"


class Method(nn.Module):
    """A distillation loss that may own parameters (projectors, queries); they are trained and resumed, not deployed."""

    student_needs: frozenset[str] = frozenset({"logits"})
    teacher_needs: frozenset[str] = frozenset({"logits"})
    """What both outputs must hold; alternatives as `logits|logits:topk`. `build` adds the taps that it picked.

    Of `logits:topk` only the k largest are known, the others share their mass evenly.
    """
    label_weight: float = 1.0
    """Weight of the cross-entropy beside this method, as its paper has it."""
    alpha: float | None = None
    """Where the paper divides one whole between the two: cross-entropy has 1 - alpha, all parts together alpha."""
    temperature: float | None = None
    """The temperature at which a top-k store's loss is judged; None: needs dense logits or none."""
    views: tuple[str, ...] = ("weak",)
    """("weak", "strong"): also wants each image in a strong view, `student.strong` and `teacher.strong`."""
    is_relational: bool = False
    asks_teacher: bool = True
    """False of self-distillation: no teacher is looked for."""
    follows: frozenset[str] = frozenset()
    """Settings in `self.options` that are read at every step, so that they may change over the training (`--ramp`)."""
    ramps: Mapping[str, Ramp] = MappingProxyType({})
    """Of these, the ones that do: their values at the first step and at the end."""
    options: Any

    def build(self, student: Side, teacher: Side) -> None:
        """Pick taps, make projectors; once, before any data is read.

        Raises UsageError when sides cannot be matched: which side lacks what, and what would give it.
        """

    def move_to(self, progress: float) -> None:
        """Give the settings that change their values at this point of the training, 0 to 1."""
        if self.ramps:
            now = {name: between(each, progress) for name, each in self.ramps.items()}
            self.options = replace(self.options, **now)

    def label_ramp(self, progress: float) -> float:
        """What `label_weight` is multiplied by at this point of the training, 0 to 1; for methods of several stages."""
        return 1.0

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """The named parts; `progress` runs from 0 to 1 over the training.

        Works on unlabelled images (target -1), mixed images (partner_target, share) and a batch of one.
        """
        raise NotImplementedError


def lacking(needs: Collection[str], gives: Collection[str]) -> list[str]:
    """The needs that are not given; of alternatives `a|b` one is enough."""
    return [need for need in sorted(needs) if not set(need.split("|")) & set(gives)]
