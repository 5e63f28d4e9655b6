"""Answers counted against labels: accuracy, balanced accuracy, macro-F1, top-5, figures by class, and who was wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOP = 5
"""Guesses of top-5, which is reported where there are more classes."""
Counts = NDArray[np.float64]


@dataclass(frozen=True)
class ClassScore:
    """One class: its labelled images, and recall, precision and F1 (0-1; 0 where they divide by 0)."""

    images: int
    recall: float
    precision: float
    f1: float


@dataclass(frozen=True)
class Scores:
    """Figures over `count` labelled images: ratios 0-1, `loss` the mean cross-entropy in nats.

    `balanced_accuracy` is the mean recall of the classes that have images, `macro_f1` the mean F1 of the classes that
    have images or were answered; `top5` is None with five classes or fewer. `not_finite` images had answers that are
    no numbers.
    """

    top1: float
    loss: float
    count: int
    balanced_accuracy: float
    macro_f1: float
    top5: float | None
    not_finite: int
    classes: tuple[ClassScore, ...]

    def as_dict(self) -> dict[str, Any]:
        """The figures of all classes together, as plain JSON values."""
        found: dict[str, Any] = {"top1": self.top1, "loss": self.loss, "count": self.count}
        found |= {"balanced_accuracy": self.balanced_accuracy, "macro_f1": self.macro_f1}
        return found | ({} if self.top5 is None else {"top5": self.top5})


@dataclass(frozen=True)
class Failure:
    """A wrong answer: the image's position in its split, its class, the answer, and the answer's probability."""

    position: int
    target: int
    answer: int
    confidence: float


class Tally:
    """Counts answers batch by batch; `keep_failures` also remembers the wrong ones."""

    def __init__(self, classes: int, keep_failures: bool = False) -> None:
        self._true, self._answered, self._right = (np.zeros(classes) for _ in range(3))
        self._loss = self._among_top = self._not_finite = 0.0
        self._seen = 0
        self._keeps = keep_failures
        self.failures: list[Failure] = []

    def add(self, logits: NDArray[np.float32], targets: NDArray[np.int64]) -> None:
        """Count logits [n, classes] of images with targets [n] (-1: unlabelled); the first of equals is the answer."""
        known = np.flatnonzero(targets >= 0)
        positions = self._seen + known
        self._seen += len(targets)
        exact, own = logits[known].astype(np.float64), targets[known]
        classes = len(self._true)
        with np.errstate(invalid="ignore", over="ignore"):
            shifted = exact - exact.max(axis=1, keepdims=True, initial=-np.inf)
            losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(own)), own]
        answers = exact.argmax(axis=1) if len(own) else own
        self._true += np.bincount(own, minlength=classes)
        self._answered += np.bincount(answers, minlength=classes)
        self._right += np.bincount(own[answers == own], minlength=classes)
        self._loss += float(losses.sum())
        self._not_finite += float((~np.isfinite(exact).all(axis=1)).sum())
        ranked = np.argsort(-exact, axis=1, kind="stable")[:, :TOP]
        self._among_top += float((ranked == own[:, None]).sum())
        if self._keeps:
            for row in np.flatnonzero(answers != own).tolist():
                sure = float(1 / np.exp(shifted[row] - shifted[row, answers[row]]).sum())
                self.failures.append(Failure(int(positions[row]), int(own[row]), int(answers[row]), sure))

    def numbers(self) -> Counts:
        """All counts as one row, which may be added up over processes."""
        sums = [self._loss, self._among_top, self._not_finite]
        return np.concatenate([self._true, self._answered, self._right, sums])

    def confusion(self) -> NDArray[np.int64]:
        """How many images of each class (row) were answered with each class (column); needs `keep_failures`."""
        if not self._keeps:
            raise ValueError("a tally that does not keep its failures")
        found = np.diag(self._right.astype(np.int64))
        for each in self.failures:
            found[each.target, each.answer] += 1
        return found

    def scores(self) -> Scores:
        """The figures."""
        return scores_of(self.numbers())


def scores_of(numbers: Sequence[float] | Counts) -> Scores:
    """The figures of `Tally.numbers`, of one process or added up over several."""
    row = np.asarray(numbers, np.float64)
    classes = (len(row) - 3) // 3
    true, answered, right = row[:-3].reshape(3, classes)
    loss, among_top, not_finite = row[-3:].tolist()
    count = int(true.sum())
    recall, precision = right / np.maximum(true, 1), right / np.maximum(answered, 1)
    f1 = 2 * right / np.maximum(true + answered, 1)
    rows = zip(true.tolist(), recall.tolist(), precision.tolist(), f1.tolist(), strict=True)
    return Scores(
        top1=float(right.sum()) / max(count, 1),
        loss=loss / max(count, 1),
        count=count,
        balanced_accuracy=_mean(recall[true > 0]),
        macro_f1=_mean(f1[true + answered > 0]),
        top5=among_top / max(count, 1) if classes > TOP else None,
        not_finite=int(not_finite),
        classes=tuple(ClassScore(int(images), *ratios) for images, *ratios in rows),
    )


def _mean(values: Counts) -> float:
    return float(values.mean()) if len(values) else 0.0
