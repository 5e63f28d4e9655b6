"""Teachers as objectives see them: a batch in, an Output out, asked live, read from caches, or several as one."""

from collections.abc import Collection, Sequence
from math import sqrt
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.cache.store import LogitCache
from edgekd.data.batch import Batch
from edgekd.images.imageset import UNLABELLED
from edgekd.methods.contract import Side
from edgekd.methods.sides import side_of
from edgekd.models.network import Network
from edgekd.models.observer import Observer
from edgekd.models.outputs import FEATURES, HEADS, LOGITS, POOLED, PREFIX, TAIL, TOPK_LOGITS, Output, single
from edgekd.models.tails import Tail
from edgekd.models.taps import need_of


class Teacher(Protocol):
    """What distillation asks of a teacher."""

    @property
    def side(self) -> Side:
        """Its classes and all that it could give."""

    def giving(self, needs: Collection[str]) -> "Teacher":
        """The teacher whose answers hold what the needs ask for, of alternatives what it has; initially logits."""

    def __call__(self, batch: Batch) -> Output:
        """What it says of this batch; never tracked by autograd."""


class Nobody:
    """No teacher: a student that learns from itself."""

    def __init__(self, classes: int) -> None:
        self.side = Side(classes, frozenset())

    def giving(self, needs: Collection[str]) -> "Nobody":
        """Itself; there is nothing to give."""
        return self

    def __call__(self, batch: Batch) -> Output:
        """Nothing."""
        return Output()


class Live:
    """A frozen network in evaluation mode, asked at every step, in the number format of the training around it."""

    def __init__(self, network: Network, samples: int = 0, side: Side | None = None) -> None:
        """`samples` as in `Side`; a `side` that is known already is not found again."""
        self.network = network.eval().requires_grad_(False)
        self.side = side_of(network, samples) if side is None else side
        self._observer = Observer(network, ())

    def giving(self, needs: Collection[str]) -> "Live":
        """The same network, whose answers hold these taps and heads."""
        found = Live(self.network, side=self.side)
        found._observer = Observer(self.network, single(needs) & self.side.gives)
        return found

    def __call__(self, batch: Batch) -> Output:
        """What it says of the batch's own canvases, float32: the teacher sees what the student sees."""
        with torch.no_grad():
            said = self._observer(batch.canvas)
        return Output(
            logits=None if said.logits is None else said.logits.float(),
            heads={name: value.float() for name, value in said.heads.items()},
            pooled=None if said.pooled is None else said.pooled.float(),
            features={name: value.float() for name, value in said.features.items()},
            prefixes={name: value.float() for name, value in said.prefixes.items()},
        )


class Cached:
    """What was stored earlier, by (view, index): logits and, where the cache has these columns, features."""

    def __init__(
        self,
        cache: LogitCache,
        needs: Collection[str] = (),
        strong: LogitCache | None = None,
        tail: Tail | None = None,
    ) -> None:
        """Of the further columns only those needed are read; `strong` is the cache of the strong views.

        `tail` is that of the network which filled the cache: it is not stored.
        """
        self.cache = cache
        self.strong = strong
        columns = {need_of(name): name for name in cache.plan.extras if _is_known(name, cache.plan.extras[name])}
        self.side = _side_of_cache(cache, columns, tail)
        wanted = single(needs)
        self._columns = {given: name for given, name in columns.items() if given in wanted}

    def giving(self, needs: Collection[str]) -> "Cached":
        """The same cache, of which these columns are read."""
        return Cached(self.cache, needs, self.strong, self.side.tail)

    def __call__(self, batch: Batch) -> Output:
        """What is stored of these images in this view; float32."""
        # A bf16 training's autocast cannot join stored fp16.
        with torch.autocast("cpu", enabled=False):
            return self._read(batch)

    def _read(self, batch: Batch) -> Output:
        device = batch.canvas.device
        cache = self.strong if batch.is_strong and self.strong is not None else self.cache
        logits = cache.logits(batch.view, batch.index).to(device)
        if not self._columns or batch.is_strong:
            return Output(logits=logits)
        stored = self.cache.read(batch.view, batch.index, tuple(self._columns.values()))
        found = {given: stored[name].float().to(device) for given, name in self._columns.items()}
        maps, prefixes = _named(found, FEATURES), _named(found, PREFIX)
        return Output(logits, _named(found, HEADS), found.get(POOLED), maps, prefixes=prefixes)


def _is_known(column: str, shape: Sequence[int]) -> bool:
    """Whether a column can be given; edgekd 0.1 stored maps of tokens and vectors as they were."""
    return column == POOLED or column.startswith(("head:", PREFIX)) or len(shape) == 3


def _named(found: dict[str, Tensor], kind: str) -> dict[str, Tensor]:
    return {given.removeprefix(kind): value for given, value in found.items() if given.startswith(kind)}


def _side_of_cache(cache: LogitCache, columns: dict[str, str], tail: Tail | None) -> Side:
    shapes = {given: tuple(cache.plan.extras[name]) for given, name in columns.items()}
    taps = sorted(_named(dict.fromkeys(columns, torch.empty(0)), FEATURES))
    return Side(
        classes=cache.plan.classes,
        gives=frozenset(
            {TOPK_LOGITS if cache.plan.store == "topk" else LOGITS, *columns} | ({TAIL} if tail is not None else set())
        ),
        shapes=shapes,
        stages=tuple(each for each in taps if each.startswith("stage") and each.removeprefix("stage").isdecimal()),
        samples=cache.rows,
        name=str(cache.plan.teacher.get("model", "")),
        tail=tail,
    )


def doubts(logits: Tensor, batch: Batch) -> Tensor:
    """How little a teacher's logits [batch, classes] fit each image, [batch]: the cross-entropy of its label.

    Of an unlabelled image the entropy of the teacher's answer; of a mixed one both labels' by their shares.
    """
    known = F.log_softmax(logits.float(), dim=1)
    entropy = -(known.exp() * known).sum(dim=1)

    def against(target: Tensor) -> Tensor:
        own = -known.gather(1, target.clamp(min=0)[:, None]).squeeze(1)
        return torch.where(target == UNLABELLED, entropy, own)

    if batch.partner_target is None or batch.share is None:
        return against(batch.target)
    return batch.share * against(batch.target) + (1 - batch.share) * against(batch.partner_target)


def confidence(doubt: Tensor, weights: Sequence[float]) -> Tensor:
    """Shares of the teachers in each image, [teachers, batch], from their doubts [teachers, batch].

    (1 - softmax of the doubts) / (teachers - 1), as in CA-MKD: Zhang, Chen, Wang (2022), arXiv 2201.00007; times the
    teachers' own weights, and together 1.
    """
    shares = (1 - F.softmax(doubt, dim=0)) / (len(doubt) - 1) * doubt.new_tensor(weights)[:, None]
    return shares / shares.sum(dim=0)


class Ensemble:
    """Several teachers as one: the weighted mean of their logits, their features side by side.

    At every temperature its softened probabilities are the weighted geometric mean of theirs (Hinton, Vinyals, Dean
    2015, section 1, name it beside the arithmetic mean, which no single row of logits gives at all temperatures).
    Pooled features and maps of one size are joined along their channels, scaled so that a squared error counts each
    member by its weight. `by_confidence` weighs each image's logits by how well each member knows it (`confidence`);
    features keep the members' weights, for a target that changed its scale from image to image could not be learnt.
    """

    def __init__(self, members: Sequence[Teacher], weights: Sequence[float], by_confidence: bool = False) -> None:
        """`weights` above 0, of any sum; all members know the same classes."""
        self.members, self.by_confidence = members, by_confidence
        self.weights = [weight / sum(weights) for weight in weights]
        self._scales = [sqrt(weight * len(members)) for weight in self.weights]
        self.side = _joint_side([member.side for member in members])

    def giving(self, needs: Collection[str]) -> "Ensemble":
        """The same teachers, each giving these outputs."""
        return Ensemble([member.giving(needs) for member in self.members], self.weights, self.by_confidence)

    def __call__(self, batch: Batch) -> Output:
        """Logits, pooled features and maps of all members as one, float32."""
        said = [member(batch) for member in self.members]
        pooled = [each.pooled for each in said if each.pooled is not None]
        taps = said[0].features
        return Output(
            logits=self._mean([each.logits for each in said if each.logits is not None], batch),
            pooled=self._joined(pooled) if pooled else None,
            features={name: self._joined([each.features[name] for each in said]) for name in taps},
        )

    def _mean(self, logits: Sequence[Tensor], batch: Batch) -> Tensor:
        if not self.by_confidence:
            return torch.stack([weight * each for weight, each in zip(self.weights, logits, strict=True)]).sum(0)
        shares = confidence(torch.stack([doubts(each, batch) for each in logits]), self.weights)
        return (shares[:, :, None] * torch.stack(list(logits))).sum(0)

    def _joined(self, values: Sequence[Tensor]) -> Tensor:
        return torch.cat([scale * value for scale, value in zip(self._scales, values, strict=True)], dim=1)


def _joint_side(sides: Sequence[Side]) -> Side:
    """What all members give: maps where they are of one size."""
    is_dense = all(LOGITS in side.gives for side in sides)
    shapes: dict[str, tuple[int, ...]] = {}
    for name in sorted(frozenset.intersection(*(frozenset(side.shapes) for side in sides))):
        found = [side.shapes[name] for side in sides]
        if len({shape[1:] for shape in found}) == 1 and not name.startswith((HEADS, PREFIX)):
            shapes[name] = (sum(shape[0] for shape in found), *found[0][1:])
    return Side(
        classes=sides[0].classes,
        gives=frozenset({LOGITS if is_dense else TOPK_LOGITS, *shapes}),
        shapes=shapes,
        stages=tuple(name for name in sides[0].stages if FEATURES + name in shapes),
        samples=max(side.samples for side in sides),
    )
