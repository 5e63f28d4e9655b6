"""Softened class probabilities and how far two rows of logits lie apart; all in float32."""

from contextlib import AbstractContextManager
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.errors import UsageError
from edgekd.models.outputs import Output

STANDARDIZED_WEIGHT = 9.0
"""What the losses of standardised logits count for beside 0.1 of the cross-entropy (arXiv 2403.01427, its code)."""
SMALLEST_VARIANCE = 1e-6
"""Keeps the gradient of a standardised row finite where all its logits are equal, as at the start of a zeroed head."""


def without_autocast(tensor: Tensor) -> AbstractContextManager[None]:
    """A region in which matrix products keep the format of their inputs, also within a bf16 or fp16 training."""
    return torch.autocast(tensor.device.type, enabled=False)


def logits_of(output: Output, whose: Literal["student", "teacher"]) -> Tensor:
    """The logits [batch, classes] in float32; a teacher's are cut off from autograd.

    Raises UsageError when the output holds none.
    """
    if output.logits is None:
        raise UsageError(f"the {whose} gives no logits", "choose a model with a classifier, or a method of features")
    return output.logits.float() if whose == "student" else output.logits.detach().float()


def strong_of(output: Output, whose: Literal["student", "teacher"]) -> Tensor:
    """The logits [batch, classes] of the strong view, as `logits_of` those of the weak one."""
    if output.strong is None:
        raise UsageError(f"the {whose} was shown no strong view", "use a method of one view, such as kd")
    return logits_of(output.strong, whose)


def standardized(logits: Tensor) -> Tensor:
    """Logits [batch, classes] with mean 0 and standard deviation 1 in every row (arXiv 2403.01427, algorithm 1)."""
    logits = logits.float()
    centred = logits - logits.mean(dim=1, keepdim=True)
    return centred / (centred.square().mean(dim=1, keepdim=True) + SMALLEST_VARIANCE).sqrt()


def divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 * KL(softmax(teacher/T) || softmax(student/T)) of each row: logits [batch, classes] to [batch]."""
    student_log = F.log_softmax(student.float() / temperature, dim=1)
    teacher_log = F.log_softmax(teacher.float() / temperature, dim=1)
    return F.kl_div(student_log, teacher_log, reduction="none", log_target=True).sum(1) * temperature**2


def binary_divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """KL between two-way distributions given as log-probabilities [batch, 2] (one class, all others), [batch]."""
    return F.kl_div(student, teacher, reduction="none", log_target=True).sum(1)


def one_against_rest(log_probabilities: Tensor, target: Tensor) -> Tensor:
    """Log-probabilities [batch, classes] as those of the target [batch] and of the rest together, [batch, 2]."""
    own = log_probabilities.gather(1, target[:, None])
    rest = without(log_probabilities, target).logsumexp(dim=1, keepdim=True)
    return torch.cat([own, rest], dim=1)


def without(logits: Tensor, target: Tensor) -> Tensor:
    """Each row [batch, classes] without the entry of its target [batch]: [batch, classes - 1]."""
    keeps = torch.ones_like(logits, dtype=torch.bool).scatter_(1, target[:, None], False)
    return logits[keeps].view(len(logits), -1)
