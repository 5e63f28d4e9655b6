"""What is said before a training whose method compares images with each other."""

from dataclasses import dataclass

import pytest

from edgekd.config import TrainTeacher
from edgekd.report import Silent
from edgekd.training.checks import tell_relations


@dataclass
class Comparing:
    is_relational: bool = True


@pytest.mark.parametrize(
    ("options", "world", "words"),
    [
        ({"batch_size": 128}, 1, None),
        ({"batch_size": 128, "accumulate": 4}, 1, "32 at a time: --accumulate 4 divide the batch of 128"),
        ({"batch_size": 128}, 2, "64 at a time: 2 processes divide the batch of 128, and nothing is gathered"),
        ({"batch_size": 8}, 1, "8 at a time; with fewer than 16 they say little"),
    ],
)
def test_how_many_images_are_compared_is_told(options: dict[str, int], world: int, words: str | None) -> None:
    report = Silent()
    tell_relations(Comparing(), TrainTeacher(**options), world, report)
    assert report.warnings == [] if words is None else words in report.warnings[0]
    tell_relations(Comparing(is_relational=False), TrainTeacher(**options), world, Silent())
