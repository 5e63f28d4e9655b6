"""What can be said of a network's answers to labelled images: figures by class, confusion, calibration, doubts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.runtimes.scores import Tally

BINS = 15
"""Of the calibration error, as in Guo et al. 2017."""
LARGEST_MATRIX = 200
"""Classes up to which the whole confusion matrix is kept."""
MOST_CONFUSED = 20
"""Pairs of classes that are listed."""

Facts = dict[str, Any]


@dataclass(frozen=True)
class Answers:
    """Logits float32 [images, classes] and targets int64 [images], all of them labelled."""

    logits: NDArray[np.float32]
    targets: NDArray[np.int64]

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Softmax of the logits."""
        exact = self.logits.astype(np.float64)
        raised = np.exp(exact - exact.max(axis=1, keepdims=True))
        found: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
        return found

    @property
    def best(self) -> NDArray[np.int64]:
        """The answered classes; the first of equals."""
        found: NDArray[np.int64] = self.logits.argmax(axis=1).astype(np.int64)
        return found

    @property
    def top1(self) -> float:
        """Accuracy, 0-1."""
        return float((self.best == self.targets).mean())


def confusion(answers: Answers) -> NDArray[np.int64]:
    """How many images of each class (row) were answered with each class (column)."""
    classes = answers.logits.shape[1]
    places = answers.targets * classes + answers.best
    return np.bincount(places, minlength=classes * classes).reshape(classes, classes)


def quality(answers: Answers, classes: Sequence[str]) -> Facts:
    """All figures together, ratios 0-1; macro averages are over classes that have images or were answered."""
    tally = Tally(len(classes))
    tally.add(answers.logits, answers.targets)
    scores, counts = tally.scores(), confusion(answers)
    present = (counts.sum(0) + counts.sum(1)) > 0
    rows = [{"class": name, **vars(each)} for name, each in zip(classes, scores.classes, strict=True)]
    precision = np.array([each.precision for each in scores.classes])
    macro = {
        "precision": float(precision[present].mean()),
        "recall": scores.balanced_accuracy,
        "f1": scores.macro_f1,
    }
    return {
        **scores.as_dict(),
        "macro": macro,
        "classes": rows,
        "confusion": counts.tolist() if len(classes) <= LARGEST_MATRIX else None,
        "confused": _confused(counts, classes),
        "calibration": calibration(answers),
    }


def _confused(counts: NDArray[np.int64], classes: Sequence[str]) -> list[Facts]:
    """The pairs of classes that are mistaken most often."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSED]
    pairs = [divmod(int(place), len(classes)) for place in order]
    totals = counts.sum(axis=1)
    return [
        {
            "class": classes[own],
            "answer": classes[answer],
            "images": int(wrong[own, answer]),
            "share": float(wrong[own, answer] / totals[own]),
        }
        for own, answer in pairs
        if wrong[own, answer]
    ]


def calibration(answers: Answers, bins: int = BINS) -> Facts:
    """Expected calibration error over equal bins of confidence (Guo et al. 2017, eq. 3), and the Brier score.

    A bin holds confidences above its lower edge up to its upper one.
    """
    probabilities = answers.probabilities
    confidence, right = probabilities.max(axis=1), answers.best == answers.targets
    number = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    rows: list[Facts] = []
    for each in range(bins):
        inside = number == each
        count = int(inside.sum())
        figures = {
            "confidence": float(confidence[inside].mean()) if count else None,
            "accuracy": float(right[inside].mean()) if count else None,
        }
        rows.append({"low": each / bins, "high": (each + 1) / bins, "images": count, **figures})
    gaps = [(row["images"], abs(row["accuracy"] - row["confidence"])) for row in rows if row["images"]]
    own = np.zeros_like(probabilities)
    own[np.arange(len(own)), answers.targets] = 1
    return {
        "ece": sum(images * gap for images, gap in gaps) / len(right),
        "largest_gap": max(gap for _, gap in gaps),
        "mean_confidence": float(confidence.mean()),
        "brier": float(((probabilities - own) ** 2).sum(axis=1).mean()),
        "bins": rows,
    }


def surest_mistakes(answers: Answers, most: int) -> list[int]:
    """Positions of the wrong answers of the highest confidence."""
    sure = answers.probabilities.max(axis=1)
    wrong = np.flatnonzero(answers.best != answers.targets)
    return [int(place) for place in wrong[np.argsort(-sure[wrong], kind="stable")][:most]]


def most_doubtful(answers: Answers, most: int) -> list[int]:
    """Positions of the images whose two most probable classes are closest to each other."""
    two = np.sort(answers.probabilities, axis=1)[:, -2:]
    return [int(place) for place in np.argsort(two[:, 1] - two[:, 0], kind="stable")[:most]]


def agreement(student: Answers, teacher: Answers) -> Facts:
    """How far a student answers as its teacher does, on the same images; `kl` is KL(teacher || student) in nats."""
    same = student.best == teacher.best
    right, taught = student.best == student.targets, teacher.best == teacher.targets
    p, q = teacher.probabilities, np.maximum(student.probabilities, 1e-12)
    return {
        "top1": teacher.top1,
        "agreement": float(same.mean()),
        "kl": float((p * (np.log(np.maximum(p, 1e-12)) - np.log(q))).sum(axis=1).mean()),
        "both_right": int((right & taught).sum()),
        "only_student_right": int((right & ~taught).sum()),
        "only_teacher_right": int((~right & taught).sum()),
        "both_wrong": int((~right & ~taught).sum()),
    }
