"""A student learns from labels and from a teacher, by a method."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edgekd.data.batch import Batch
from edgekd.errors import UsageError
from edgekd.methods.contract import Method, Part
from edgekd.methods.labels import LabelLoss
from edgekd.methods.ranges import Ramp
from edgekd.models.network import Network
from edgekd.models.observer import Observer
from edgekd.models.outputs import Output
from edgekd.objectives.objective import Objective
from edgekd.objectives.weighing import Weighing
from edgekd.teachers.teacher import Teacher


class Distillation(Objective):
    """The cross-entropy and the method's parts, each by its weight (`Weighing`).

    With `alpha` it is P2's objective when the method is kd.
    """

    def __init__(
        self,
        student: Network,
        teacher: Teacher,
        method: Method,
        alpha: float | None = None,
        labels: LabelLoss | None = None,
        ramp: Ramp | None = None,
    ) -> None:
        """The method is built already; `alpha` and its `ramp` as in `Weighing`."""
        super().__init__()
        self.student = student
        self.networks = {"": student}
        self.method = method
        self.is_relational = method.is_relational
        self.labels = labels or LabelLoss()
        self.has_strong_view = "strong" in method.views
        self.weighing = Weighing(method, alpha, ramp)
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
        self.method.move_to(progress)
        of_labels, of_method = self.weighing.at(progress)
        parts: dict[str, Part] = {
            name: replace(part, weight=of_method * part.weight)
            for name, part in self.method(seen, said, batch, progress).items()
        }
        if self.weighing.counts_labels:
            if seen.logits is None:
                raise UsageError("the student gives no logits", "give a student that has a classifier")
            parts["ce"] = Part(self.labels(seen.logits, batch), of_labels, "labels")
        return parts

    def changing(self, progress: float) -> dict[str, float]:
        """What a ramp changes, as it is at this point of the training."""
        return self.weighing.changing(progress)

    def _in_both_views(self, network: Callable[[Batch], Output], batch: Batch) -> Output:
        """What is said of the batch, and of its strong view where the method asks for that."""
        said = network(batch)
        return replace(said, strong=network(batch.in_strong_view())) if self.has_strong_view else said
