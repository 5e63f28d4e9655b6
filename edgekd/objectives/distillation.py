"""A student learns from labels and from a teacher, by a method."""

from dataclasses import replace
from typing import Any

from edgekd.data.batch import Batch
from edgekd.errors import UsageError
from edgekd.methods.contract import Method, Part
from edgekd.models.network import Network
from edgekd.models.observer import Observer
from edgekd.objectives.objective import Objective
from edgekd.objectives.supervised import LabelLoss
from edgekd.teachers.teacher import Teacher


class Distillation(Objective):
    """label_weight * cross-entropy + the sum of the method's parts by their weights.

    With `alpha` it is (1 - alpha) * cross-entropy + alpha * that sum (P2's objective when the method is kd).
    """

    def __init__(
        self,
        student: Network,
        teacher: Teacher,
        method: Method,
        alpha: float | None = None,
        labels: LabelLoss | None = None,
    ) -> None:
        """The method is built already; `alpha` left open is the method's own, which it may not have."""
        super().__init__()
        self.student = student
        self.networks = {"": student}
        self.method = method
        self.is_relational = method.is_relational
        self.labels = labels or LabelLoss()
        share = method.alpha if alpha is None else alpha
        self.label_weight, self.share = (method.label_weight, 1.0) if share is None else (1 - share, share)
        self._outside: dict[str, Any] = {
            "teacher": teacher.giving(method.teacher_needs),
            "student": Observer(student, method.student_needs),
        }

    @property
    def teacher(self) -> Teacher:
        """Who is asked."""
        teacher: Teacher = self._outside["teacher"]
        return teacher

    def forward(self, batch: Batch, progress: float, turn: str | None = None) -> dict[str, Part]:
        """The method's parts, and `ce` unless its weight is 0."""
        # The teacher first: while the student's activations are kept, its own would need fresh memory.
        said = self.teacher(batch)
        seen = self._outside["student"](batch.canvas)
        parts: dict[str, Part] = {
            name: replace(part, weight=self.share * part.weight)
            for name, part in self.method(seen, said, batch, progress).items()
        }
        if self.label_weight > 0:
            if seen.logits is None:
                raise UsageError("the student gives no logits", "give a student that has a classifier")
            value = self.labels(seen.logits, batch)
            parts["ce"] = Part(value, self.label_weight, "labels")
        return parts
