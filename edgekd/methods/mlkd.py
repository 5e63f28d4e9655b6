"""Multi-level logit distillation: Jin, Wang, Lin (2023), CVPR, section 3; figures from the authors' code.

At several temperatures at once: each image's probabilities (instance), the products of all pairs of images (batch)
and of all pairs of classes (class).
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from edgekd.data.batch import Batch
from edgekd.errors import UsageError
from edgekd.methods.contract import Method, Part
from edgekd.methods.labels import label_loss
from edgekd.methods.ranges import check_above_zero
from edgekd.methods.softening import divergence, logits_of, standardized, strong_of, without_autocast
from edgekd.models.outputs import Output


def batch_level(student: Tensor, teacher: Tensor) -> Tensor:
    """||S S' - T T'||^2 / batch of probabilities [batch, classes]: how alike the images are, two by two."""
    return (student @ student.T - teacher @ teacher.T).square().sum() / len(student)


def class_level(student: Tensor, teacher: Tensor) -> Tensor:
    """||S' S - T' T||^2 / classes of probabilities [batch, classes]: how alike the classes are, two by two."""
    return (student.T @ student - teacher.T @ teacher).square().sum() / student.shape[1]


@dataclass(frozen=True)
class Options:
    """`temperatures`: whose losses are added; `weight`: of every level.

    `standardize`: z-score the logits of the instance level first (method ls); every level then counts ten times.
    """

    temperatures: str = "2,3,4,5,6"
    weight: float = 0.9
    standardize: bool = False


class Mlkd(Method):
    """The method `mlkd`. It relates the images of a batch; it does not gather over processes.

    The instance level sees both views, the other two the weak one, as in the authors' code; of that code the masks by
    the teacher's confidence are left out: they scale a mean by about a half.
    """

    follows = frozenset({"weight"})
    label_weight = 0.1
    views = ("weak", "strong")
    is_relational = True

    def __init__(self, options: Options) -> None:
        super().__init__()
        check_above_zero(options, "weight")
        self.options = options
        self.temperatures = _numbers(options.temperatures)

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`instance` over images, `batch` and `class` over the batch, `ce_strong` over the labels."""
        ours, theirs = logits_of(student, "student"), logits_of(teacher, "teacher")
        strong = strong_of(student, "student"), strong_of(teacher, "teacher")
        instance = batches = classes = ours.new_zeros(())
        with without_autocast(ours):
            for temperature in self.temperatures:
                instance = instance + self._instance(ours, theirs, temperature) + self._instance(*strong, temperature)
                both = F.softmax(ours / temperature, dim=1), F.softmax(theirs / temperature, dim=1)
                batches = batches + batch_level(*both)
                classes = classes + class_level(*both)
        weight = self.options.weight * (10 if self.options.standardize else 1)
        return {
            "instance": Part(instance, weight),
            "batch": Part(batches, weight, "batch"),
            "class": Part(classes, weight, "batch"),
            "ce_strong": Part(label_loss(strong[0], batch), self.label_weight, "labels"),
        }

    def _instance(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        if self.options.standardize:
            student, teacher = standardized(student), standardized(teacher)
        return divergence(student, teacher, temperature).mean()


def _numbers(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(each) for each in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(0 < each < float("inf") for each in found):
        raise UsageError(f"--set temperatures={text}: not numbers above 0", "separate them by commas, as 2,3,4,5,6")
    return found


def create(options: Options) -> Mlkd:
    """The method with these settings."""
    return Mlkd(options)
