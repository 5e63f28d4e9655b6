"""A student learns from labels and from a teacher, by a method."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edgekd.data.batch import Batch
from edgekd.errors import UsageError
from edgekd.methods.contract import Method, Part
from edgekd.methods.labels import LabelLoss
from edgekd.models.network import Network
from edgekd.models.observer import Observer
from edgekd.models.outputs import Output
from edgekd.objectives.objective import Objective
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
        self.has_strong_view = "strong" in method.views
        share = method.alpha if alpha is None else alpha
        self.label_weight, self.share = (method.label_weight, 1.0) if share is None else (1 - share, share)
        self.is_shared = share is not None
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
        said = self._in_both_views(self.teacher, batch)
        seen = self._in_both_views(lambda each: self._outside["student"](each.canvas), batch)
        parts: dict[str, Part] = {
            name: replace(part, weight=self.share * part.weight)
            for name, part in self.method(seen, said, batch, progress).items()
        }
        if self.label_weight > 0:
            if seen.logits is None:
                raise UsageError("the student gives no logits", "give a student that has a classifier")
            value = self.labels(seen.logits, batch)
            falls = 1.0 if self.is_shared else self.method.label_ramp(progress)
            parts["ce"] = Part(value, falls * self.label_weight, "labels")
        return parts

    def _in_both_views(self, network: Callable[[Batch], Output], batch: Batch) -> Output:
        """What is said of the batch, and of its strong view where the method asks for that."""
        said = network(batch)
        return replace(said, strong=network(batch.in_strong_view())) if self.has_strong_view else said
