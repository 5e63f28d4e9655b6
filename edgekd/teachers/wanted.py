"""What a method wants to have from a teacher's cache, found with the student and the teacher it will be built with."""

from dataclasses import dataclass

import torch

from edgekd.cache.plan import CachePlan
from edgekd.config import Distill
from edgekd.images.imageset import ImageData
from edgekd.methods.contract import Method, lacking
from edgekd.methods.loading import join, load_method
from edgekd.methods.ramps import ramps_of, set_ramps
from edgekd.methods.sides import side_of
from edgekd.models.network import Network
from edgekd.models.outputs import LOGITS, TAIL, TOPK_LOGITS
from edgekd.models.taps import column_of
from edgekd.models.trained import build_student
from edgekd.report import Silent
from edgekd.teachers.source import KnownTeacher


@dataclass(frozen=True)
class Wanted:
    """The further columns that a cache must have, whether it must hold all logits, and the method's temperature."""

    columns: tuple[str, ...] = ()
    is_dense: bool = False
    temperature: float | None = None

    def is_in(self, plan: CachePlan) -> bool:
        """Whether a cache of this plan has it."""
        return set(self.columns) <= set(plan.extras) and not (self.is_dense and plan.store == "topk")


def method_of(config: Distill, recorded: str | None = None) -> Method:
    """The method that the options name, with its settings, not built yet; `recorded` is a file's hash in the run."""
    method = load_method(config.method, config.set, {"temperature": config.temperature}, config, recorded)
    set_ramps(method, config.method, ramps_of(config.ramp))
    return method


def samples_in(data: ImageData) -> int:
    """How many training images are numbered: every `Batch.index` lies below it."""
    return int(data.everything.ids.max()) + 1


def wanted_for(config: Distill, teacher: KnownTeacher, data: ImageData) -> Wanted:
    """What the distillation that the options describe would read from a cache of this teacher."""
    method = method_of(config)
    if is_content_with_logits(method):
        return wanted_by(method, config.method, None, data)
    with torch.random.fork_rng():
        return wanted_by(method, config.method, (build_student(config, data, Silent()), teacher.network(config)), data)


def wanted_by(method: Method, name: str, networks: tuple[Network, Network] | None, data: ImageData) -> Wanted:
    """What the method, which is built here and thrown away, would read from a cache of this teacher.

    `networks`, student and teacher, may be None where the method is content with logits. Raises UsageError when they
    cannot be matched.
    """
    columns: set[str] = set()
    if networks is not None:
        student, side = (side_of(each, samples_in(data)) for each in networks)
        join(name, method, student, side)
        for need in method.teacher_needs:
            found = next(each for each in need.split("|") if each in side.gives)
            columns |= {found} - {LOGITS, TAIL}
    is_dense = bool(lacking({each for each in method.teacher_needs if each.startswith(LOGITS)}, {TOPK_LOGITS}))
    return Wanted(tuple(sorted(map(column_of, columns))), is_dense, method.temperature)


def is_content_with_logits(method: Method) -> bool:
    """Whether a method reads logits alone, so that neither network has to be looked at."""
    needs = method.student_needs | method.teacher_needs
    return type(method).build is Method.build and all(need.startswith(LOGITS) for need in needs)
