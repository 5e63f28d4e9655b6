"""ScaleKD, strong vision transformers as teachers: Fan, Li, Liu, Yao (2024), arXiv 2411.06786.

The formulas are those of the authors' code.
A student's last two maps are brought to the teacher's grid (CAP). Those of the last but one run through the teacher's
own frozen last stage (TPP). All meet the teacher's last map, once as it is and once without its spatial mean (DFM).
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.data.batch import Batch
from edgekd.errors import UsageError
from edgekd.methods.contract import Method, Part, Side
from edgekd.methods.projectors import Attention, Convolution, Projector, Shape, heads_for
from edgekd.methods.ranges import check_above_zero, check_not_negative, check_share
from edgekd.methods.softening import logits_of, without_autocast
from edgekd.methods.stages import shape_at, taps_of
from edgekd.models.outputs import FEATURES, LOGITS, PREFIX, TAIL, Output
from edgekd.models.tails import Tail, passes

VIEWS = ("direct", "alternative")
SMALLEST_NORM = 1e-12


def direct_loss(student: Tensor, target: Tensor) -> Tensor:
    """Squared distance of two maps [batch, channels, height, width] of unit length at every position; a scalar.

    The mean over images and positions, where the paper's code has the sum over positions. From 0 to 4.
    """
    ours, theirs = (F.normalize(each.float(), dim=1, eps=SMALLEST_NORM) for each in (student, target))
    return (ours - theirs).square().sum(dim=1).mean()


def without_mean(maps: Tensor) -> Tensor:
    """Maps [batch, channels, height, width] less their mean over positions.

    This is what is left when the coefficient (0, 0) of the two-dimensional DCT of each channel is set to 0.
    """
    return maps - maps.mean(dim=(2, 3), keepdim=True)


def alternative_loss(student: Tensor, target: Tensor) -> Tensor:
    """`direct_loss` of both maps without their spatial mean: first filtered, then brought to unit length."""
    return direct_loss(without_mean(student.float()), without_mean(target.float()))


def soft_cross_entropy(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """-T^2 * sum of softmax(teacher / T) * log softmax(student / T), mean over the batch; logits [batch, classes].

    It has the gradient of kd's loss, from which it differs by the teacher's entropy.
    """
    wanted = F.softmax(teacher / temperature, dim=1)
    return -(wanted * F.log_softmax(student / temperature, dim=1)).sum(dim=1).mean() * temperature**2


LOSSES = {"direct": direct_loss, "alternative": alternative_loss}


@dataclass(frozen=True)
class Options:
    """Switches and the paper's values.

    `cap`, `dfm`, `tpp`, `kd`: on or off; without cap a 1x1 convolution stands for it. The two weights are of means over
    positions, equal to 0.08 and 0.06 of sums on 7x7. `kd_weight` is taken from the labels' weight of 1.
    `g` sharpens attention: 5, 1 or 0.2 by pair unless given. `heads3` and `heads4`: attention heads of the projectors
    of the last map but one and the last; 0: about 64 wide. `queries` of the last: what the teacher's last stage gives
    (tail), or learned. `stem` norm: batch, but layer in Swin students. `prefix`: the teacher's own class token enters
    its last stage too (borrow), or not (omit). `taps`: the student's two maps, as stage3,stage4; `entrance`: the
    teacher's tap behind which its last stage begins, as blocks.9.
    """

    cap: bool = True
    dfm: bool = True
    tpp: bool = True
    kd: bool = True
    direct_weight: float = 3.92
    alternative_weight: float = 2.94
    kd_weight: float = 0.5
    temperature: float = 1.0
    g: float | None = None
    heads3: int = 0
    heads4: int = 0
    queries: Literal["auto", "tail", "learned"] = "auto"
    stem: Literal["auto", "batch", "layer"] = "auto"
    prefix: Literal["borrow", "omit"] = "borrow"
    taps: str = ""
    entrance: str = ""


class ScaleKd(Method):
    """The method `scalekd`. Teachers of the paper are Swin and ViT with frozen weights; others are outside of it.

    Projectors and their queries are trained and resumed, never deployed.
    """

    follows = frozenset({"alternative_weight", "direct_weight", "temperature"})

    def __init__(self, options: Options) -> None:
        super().__init__()
        _check(options)
        self.options = options
        self.views = ("weak",)
        self.parts = VIEWS if options.dfm else VIEWS[:1]
        self.has_tail_queries = options.tpp and options.queries != "learned"
        self.teacher_needs = frozenset(
            ({f"{LOGITS}|logits:topk"} if options.kd else set()) | ({TAIL} if options.tpp else set())
        )
        if options.kd:
            self.label_weight, self.temperature = 1 - options.kd_weight, options.temperature
        self.taps, self.target = ("", ""), ""
        self.shape: Shape = (0, 0, 0)
        # outside the module tree: the teacher's weights are neither trained nor saved with the student
        self._outside: dict[str, Any] = {}

    @property
    def tail(self) -> Tail | None:
        """The teacher's last stage."""
        tail: Tail | None = self._outside.get("tail")
        return tail

    def build(self, student: Side, teacher: Side) -> None:
        """Pick the maps of both sides and make two projectors for each of the student's."""
        chosen = self.options
        tail = _tail(teacher, chosen) if chosen.tpp else None
        self._outside["tail"] = tail
        self.target = tail.target_name if tail is not None else taps_of(teacher, "teacher", "scalekd")[-1]
        needs = {FEATURES + self.target}
        if tail is not None and chosen.prefix == "borrow" and tail.entrance.prefix:
            needs.add(PREFIX + tail.entrance_name)
        self.teacher_needs = self.teacher_needs | needs
        if FEATURES + self.target not in teacher.gives:
            return  # join refuses, and says what would give it
        self.shape = shape_at(teacher, self.target, "teacher", "scalekd")
        if chosen.dfm and self.shape[1:] == (1, 1):
            raise UsageError(
                "--method scalekd: the teacher's last map is 1x1, of which nothing is left without its mean",
                "a teacher of a larger input size or a smaller patch size; or --set dfm=off",
            )
        self.taps = _students_taps(student, chosen)
        shapes = [shape_at(student, tap, "student", "scalekd") for tap in self.taps]
        self.student_needs = frozenset({LOGITS, *(FEATURES + tap for tap in self.taps[0 if chosen.tpp else 1 :])})
        self.early = self._projectors(shapes[0], tail.entrance.shape, student, teacher, 3) if tail is not None else None
        self.late = self._projectors(shapes[1], self.shape, student, teacher, 4)

    def _projectors(self, ours: Shape, theirs: Shape, student: Side, teacher: Side, level: int) -> nn.ModuleDict:
        """One for each view: they share nothing."""
        chosen = self.options
        if not chosen.cap:
            return nn.ModuleDict({view: Convolution(ours, theirs) for view in self.parts})
        asked = chosen.heads3 if level == 3 else chosen.heads4
        attention = Attention(
            heads_for(theirs[0], asked, f"heads{level}"),
            _sharpness(student, teacher) if chosen.g is None else chosen.g,
            has_queries=level == 3 or not self.has_tail_queries,
            has_layer_norm=chosen.stem == "layer" or (chosen.stem == "auto" and student.family == "swin"),
        )
        return nn.ModuleDict({view: Projector(ours, theirs, attention) for view in self.parts})

    def forward(self, student: Output, teacher: Output, batch: Batch, progress: float) -> dict[str, Part]:
        """`direct` and `alternative` of the last map, `tpp_...` of the last but one, `kd`; all over all images."""
        parts: dict[str, Part] = {}
        target = teacher.features[self.target].detach().float()
        for view in self.parts:
            weight = self.options.direct_weight if view == "direct" else self.options.alternative_weight
            perceived = self._perceived(view, student, teacher)
            if perceived is not None:
                parts[f"tpp_{view}"] = Part(_apart(view, perceived, target), weight)
            queries = perceived.flatten(2).transpose(1, 2) if perceived is not None and self.has_tail_queries else None
            tokens = self.late[view](student.features[self.taps[1]], queries)
            parts[view] = Part(_apart(view, _as_map(tokens, self.shape), target), weight)
        if self.options.kd:
            ours, theirs = logits_of(student, "student"), logits_of(teacher, "teacher")
            value = soft_cross_entropy(ours, theirs, self.options.temperature)
            parts["kd"] = Part(value, self.options.kd_weight)
        return parts

    def _perceived(self, view: str, student: Output, teacher: Output) -> Tensor | None:
        """What the teacher's last stage makes of the student's map but one, [batch, channels, height, width]."""
        tail = self.tail
        if tail is None or self.early is None:
            return None
        tokens = self.early[view](student.features[self.taps[0]])
        prefix = teacher.prefixes.get(tail.entrance_name) if self.options.prefix == "borrow" else None
        maps: Tensor = tail.to(tokens.device)(_as_map(tokens, tail.entrance.shape), prefix)
        return maps


def _apart(view: str, maps: Tensor, target: Tensor) -> Tensor:
    """The loss of a view, in float32: on nearly flat maps unit length magnifies every rounding."""
    with without_autocast(maps):
        return LOSSES[view](maps, target)


def _as_map(tokens: Tensor, shape: Shape) -> Tensor:
    """Tokens [batch, height * width, channels] as a map."""
    return tokens.transpose(1, 2).reshape(len(tokens), *shape)


def _check(options: Options) -> None:
    check_not_negative(options, "direct_weight", "alternative_weight", "heads3", "heads4")
    check_share(options, "kd_weight")
    check_above_zero(options, "temperature", *(() if options.g is None else ("g",)))
    if options.tpp and not options.cap:
        raise UsageError(
            "--set cap=off: the teacher's last stage takes maps on its own grid only",
            "--set tpp=off as well, or cap=on",
        )
    if options.queries == "tail" and not options.tpp:
        raise UsageError("--set queries=tail: with tpp off there are none", "--set queries=learned, or tpp=on")


def _tail(teacher: Side, options: Options) -> Tail:
    """The teacher's last stage, from the tap requested; raises UsageError when there is none."""
    tail = teacher.tail
    if tail is not None and options.entrance:
        tail = tail.entering_at(options.entrance)
    if tail is None:
        raise UsageError(
            f"--set entrance={options.entrance}: no tap of the teacher with its last stage behind it",
            "give a module's path, such as blocks.9 or layers.2",
        )
    with_prefix = options.prefix == "borrow" and tail.entrance.prefix > 0
    if not passes(tail, with_prefix):
        raise UsageError(
            f"--set prefix={options.prefix}: this teacher's last stage does not run so",
            "--set prefix=borrow, or tpp=off",
        )
    return tail


def _students_taps(student: Side, options: Options) -> tuple[str, str]:
    """The student's last map but one and its last; where one is enough, the last twice.

    Attention to a single position gives every query the same, so maps of 1x1 are passed over.
    """
    if options.taps:
        found = tuple(options.taps.split(","))
    else:
        stages = taps_of(student, "student", "scalekd")
        found = tuple(tap for tap in stages if not _is_point(student, tap))[-2:]
    if len(found) == 1 and not options.tpp:
        found = found * 2
    if len(found) != 2:
        raise UsageError(
            "--method scalekd: needs two maps of the student, larger than 1x1",
            "name two taps: --set taps=TAP,TAP; or a larger --input-size; or --set tpp=off, for which one is enough",
        )
    for tap in found:
        if options.dfm and _is_point(student, tap):
            raise UsageError(
                f"--set taps={options.taps}: the student's map at {tap} is 1x1", "name larger maps; or --set dfm=off"
            )
    return found[0], found[1]


def _is_point(student: Side, tap: str) -> bool:
    return shape_at(student, tap, "student", "scalekd")[1:] == (1, 1)


def _sharpness(student: Side, teacher: Side) -> float:
    """The paper's multiplier for such a pair; 1 for all it does not have."""
    if student.name.startswith(("convnext", "swin")):
        return 1.0
    if teacher.name.startswith("swin"):
        return 5.0
    return 0.2 if teacher.name.startswith(("eva", "beit")) and student.family == "cnn" else 1.0


def create(options: Options) -> ScaleKd:
    """The method with these settings."""
    return ScaleKd(options)
