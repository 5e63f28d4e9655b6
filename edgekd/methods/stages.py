"""Which maps of the student meet which of the teacher, and how maps of two sizes are made alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.errors import UsageError
from edgekd.methods.contract import Side
from edgekd.models.outputs import FEATURES, Output


@dataclass(frozen=True)
class Pair:
    """A tap of the student and one of the teacher, with their shapes (channels, height, width)."""

    student: str
    teacher: str
    student_shape: tuple[int, int, int]
    teacher_shape: tuple[int, int, int]


def taps_of(side: Side, whose: Literal["student", "teacher"], name: str) -> tuple[str, ...]:
    """The side's stages that it can give, from input to output.

    Raises UsageError when there are none: a logit cache, or a network in which no stages are found.
    """
    found = tuple(stage for stage in side.stages if FEATURES + stage in side.gives)
    if found:
        return found
    if whose == "student":
        raise UsageError(f"--method {name}: no stages are found in this student", "name taps by --set taps=TAP:TAP")
    raise UsageError(
        f"--method {name} needs feature maps, which this teacher does not give",
        f"--live asks the teacher itself; a cache of maps does too: edgekd cache-logits --for {name} --name NAME",
    )


def shape_at(side: Side, tap: str, whose: Literal["student", "teacher"], name: str) -> tuple[int, int, int]:
    """The shape (channels, height, width) of the map at a tap; raises UsageError where there is no map."""
    shape = side.shapes.get(FEATURES + tap)
    if shape is None or len(shape) != 3 or FEATURES + tap not in side.gives:
        known = ", ".join(sorted(each.removeprefix(FEATURES) for each in side.gives if each.startswith(FEATURES)))
        raise UsageError(f"--method {name}: the {whose} has no map at {tap}", f"it has: {known or 'none'}")
    return shape[0], shape[1], shape[2]


def pairs_of(student: Side, teacher: Side, taps: str, name: str) -> tuple[Pair, ...]:
    """The pairs named by `taps` (`stage2:stage3,stage4:stage4`, student first), or the last stages of both by depth.

    Raises UsageError when a side has no such maps.
    """
    if taps:
        named = [each.partition(":") for each in taps.split(",")]
        both = [(first, second if colon else first) for first, colon, second in named]
    else:
        ours, theirs = taps_of(student, "student", name), taps_of(teacher, "teacher", name)
        count = min(len(ours), len(theirs))
        both = list(zip(ours[-count:], theirs[-count:], strict=True))
    return tuple(
        Pair(a, b, shape_at(student, a, "student", name), shape_at(teacher, b, "teacher", name)) for a, b in both
    )


def needs_of(pairs: Sequence[Pair]) -> tuple[frozenset[str], frozenset[str]]:
    """What the pairs add to the needs of the student and of the teacher."""
    return frozenset(FEATURES + each.student for each in pairs), frozenset(FEATURES + each.teacher for each in pairs)


def maps_of(student: Output, teacher: Output, pair: Pair) -> tuple[Tensor, Tensor]:
    """The two maps [batch, channels, height, width] of a pair; the teacher's is cut off from autograd."""
    return student.features[pair.student], teacher.features[pair.teacher].detach()


def resized(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps [batch, channels, height, width] at another size: averaged down, or the nearest pixel repeated."""
    height, width = features.shape[-2:]
    if (height, width) == size:
        return features
    if height >= size[0] and width >= size[1]:
        return F.adaptive_avg_pool2d(features, size)
    return F.interpolate(features, size, mode="nearest")


class Norm(nn.BatchNorm2d):
    """Batch norm that takes its running statistics where a batch has one value per channel, which has no variance."""

    def forward(self, features: Tensor) -> Tensor:
        """Maps [batch, channels, height, width] to the same."""
        if self.training and features.shape[0] * features.shape[2] * features.shape[3] == 1:
            return F.batch_norm(
                features, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(features)
