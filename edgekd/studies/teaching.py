"""A time limit shared out: the teacher's training, its cache, the student's training, and what comes after it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edgekd.errors import CheckpointError, UsageError
from edgekd.images.imageset import ImageData
from edgekd.studies.clock import Clock
from edgekd.studies.rehearsal import STEP_START, Rehearsed
from edgekd.studies.schedule import Outcome
from edgekd.studies.steps import Place
from edgekd.training.schedule import seconds_of

TEACHERS = ("resnet9", "plain-w16-d3-k3")
"""The first one that can be trained in its share of the time."""
STUDENT = "tiny-cnn"
BATCH = 128
"""Images of a step of small students."""
LEAST_TEACHING = 10.0
"""Seconds of a teacher's training, at the least."""
LEAST_LIMIT = 60.0
"""Seconds in which the steps can at least be started."""
FILES = 2.5
"""Export and verdict of a trained network take so many times as long as those of an untrained one."""


@dataclass(frozen=True)
class Plan:
    """The teacher (None: it is there), seconds of its training and of the student's, views, and seconds after these.

    `spare`: seconds that no share takes; `epochs`: those of the student's own recipe, `least`: seconds of its shortest
    training that is worth the name. `per_mac`: seconds of a step of 128 images for each multiply-add of one image, of
    networks with depthwise convolutions (as the student) and of others (as the teacher).
    """

    teacher: str | None
    teaching: float
    views: int
    student: float
    after: float
    spare: float
    epochs: int
    least: float
    per_mac: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def check_limit(limit: str) -> float:
    """The seconds of a time limit; raises UsageError for one in which no work can be begun."""
    seconds = seconds_of(limit)
    if seconds < LEAST_LIMIT:
        raise UsageError(
            f"--time-limit {limit}: too short: the steps are hardly started by then",
            f"give --time-limit {LEAST_LIMIT:.0f}s or more, on a slow machine minutes",
        )
    return seconds


@dataclass(frozen=True)
class Wish:
    """Shares of the time by `teacher`, `cache` and `student`, with at least `spare` seconds of the rest.

    `has_teacher`: it is there already. `measuring`: seconds that exporting and measuring an untrained network took.
    """

    limit: str
    shares: Mapping[str, float]
    measuring: float
    spare: float = 0.0
    has_teacher: bool = False


def plan_teaching(wish: Wish, data: ImageData, clock: Clock, look: Callable[[str], Rehearsed]) -> Plan:
    """The plan, from a `look` at a few steps of each network.

    Raises UsageError, with the time that is needed, where the limit is too short for these images.
    """
    student, images = look(STUDENT), len(data.everything)
    after = FILES * wish.measuring + 2 * STEP_START
    starts = (2 if wish.has_teacher else 3) * STEP_START
    for name in TEACHERS:
        teacher = look(name)
        usable = clock.left() - after - starts
        needed = _needed(wish, teacher, student, images)
        if usable >= needed:
            break
    if usable < needed:
        seconds = math.ceil(1.1 * (clock.spent() + starts + after + needed))
        raise UsageError(
            f"--time-limit {wish.limit}: too short for {data.name}: a training step takes {student.step:.2g} s of "
            f"{STUDENT}, {teacher.step:.2g} s of its teacher here, and the other work {starts + after:.0f} s",
            f"give --time-limit {seconds}s or more",
        )
    shares = wish.shares
    most = max(teacher.whole, LEAST_TEACHING)
    return Plan(
        teacher=None if wish.has_teacher else name,
        teaching=round(min(usable * shares["teacher"], most), 1),
        views=max(1, teacher.views_within(usable * shares["cache"], images)),
        student=round(usable * shares["student"], 1),
        after=round(after, 1),
        spare=round(usable * (1 - sum(shares.values())), 1),
        epochs=student.epochs,
        least=round(student.least, 1),
        per_mac={"depthwise": BATCH * student.per_mac, "dense": BATCH * teacher.per_mac},
    )


def _needed(wish: Wish, teacher: Rehearsed, student: Rehearsed, images: int) -> float:
    """Seconds with which each share holds the least that makes sense."""
    least = {"cache": teacher.forward * images, "student": student.least}
    if not wish.has_teacher:
        least["teacher"] = max(teacher.least, LEAST_TEACHING)
    needed = [seconds / wish.shares[name] for name, seconds in least.items()]
    rest = 1 - sum(wish.shares.values())
    return max([*needed, wish.spare / rest] if wish.spare else needed)


def checked(outcome: Outcome, place: Place) -> Outcome:
    """The outcome; raises CheckpointError where a step failed."""
    if outcome.failures:
        raise CheckpointError(next(iter(outcome.failures.values())), f"{place.root}/steps holds what each step told")
    return outcome
