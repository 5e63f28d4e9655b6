"""Single images as a report lists them: name, label, answer, and a thumbnail."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekd.images.imageset import UNLABELLED, ImageData, Split
from edgekd.reporting.quality import Answers
from edgekd.reporting.thumbnails import thumbnail


@dataclass(frozen=True)
class Images:
    """The labelled images of a split by name."""

    split: Split
    names: tuple[str, ...]
    classes: tuple[str, ...]

    def describe(self, place: int, answers: Answers, teacher: Answers | None = None) -> dict[str, Any]:
        """What is known of the image at this position: label, the two likeliest answers, the teacher's answer."""
        canvas = self.split.pixels.gather(self.split.index[[place]])[0]
        first, second = np.argsort(-answers.probabilities[place], kind="stable")[:2].tolist()
        chances = answers.probabilities[place]
        found = {
            "image": self.names[place],
            "class": self.classes[int(answers.targets[place])],
            "answer": self.classes[first],
            "confidence": float(chances[first]),
            "second": self.classes[second],
            "second_confidence": float(chances[second]),
            "thumbnail": thumbnail(canvas),
        }
        if teacher is not None:
            best = int(teacher.best[place])
            found["teacher"] = {
                "answer": self.classes[best],
                "confidence": float(teacher.probabilities[place, best]),
            }
        return found

    def sample(self, most: int) -> Split:
        """At most so many of the images, evenly spaced over the split."""
        places = np.unique(np.linspace(0, len(self.split) - 1, min(most, len(self.split))).round().astype(np.int64))
        return Split(self.split.pixels, self.split.index[places], self.split.targets[places], self.split.roster)


def labelled_images(data: ImageData, split: str) -> Images:
    """The labelled images of `train`, `val` or `test`."""
    chosen = {"test": data.test, "val": data.val, "train": data.train}[split]
    known = np.flatnonzero(chosen.targets != UNLABELLED).tolist()
    names: Sequence[str] = data.names_in(split)
    return Images(chosen.labelled(), tuple(names[place] for place in known), data.classes)
