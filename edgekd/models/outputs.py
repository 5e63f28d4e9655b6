"""What a network gives for a batch: logits, further heads, pooled features, maps by tap."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Optional

from torch import Tensor

LOGITS = "logits"
TOPK_LOGITS = "logits:topk"
POOLED = "pooled"
TAIL = "tail"
FEATURES = "features:"
"""`features:<tap>` is the map at a tap: `stage1`..`stageN`, or a module's path in the backbone."""
PREFIX = "prefix:"
"""`prefix:<tap>` are the tokens before the map at a tap: class, distillation and register tokens."""
HEADS = "heads:"
"""`heads:<name>` is a further classifier's logits."""


@dataclass(frozen=True)
class Output:
    """What a network gives for a batch.

    `logits` [batch, classes]; `heads`: further classifiers' logits by name (`token` of a distilled DeiT, `exit1`);
    `pooled` [batch, width]: what the final classifier sees; `features`: maps by tap, always [batch, channels, height,
    width] (tokens lie on their grid without the prefix tokens, channels come first); `prefixes`: those tokens by tap,
    [batch, count, channels]. `strong` holds the same images in their strong view, for methods that ask for it.
    """

    logits: Tensor | None = None
    heads: Mapping[str, Tensor] = field(default_factory=dict)
    pooled: Tensor | None = None
    features: Mapping[str, Tensor] = field(default_factory=dict)
    strong: Optional["Output"] = None
    prefixes: Mapping[str, Tensor] = field(default_factory=dict)

    def detached(self) -> "Output":
        """The same values outside the graph."""
        return replace(
            self,
            logits=None if self.logits is None else self.logits.detach(),
            heads={name: value.detach() for name, value in self.heads.items()},
            pooled=None if self.pooled is None else self.pooled.detach(),
            features={name: value.detach() for name, value in self.features.items()},
            prefixes={name: value.detach() for name, value in self.prefixes.items()},
            strong=None if self.strong is None else self.strong.detached(),
        )


def single(needs: Iterable[str]) -> frozenset[str]:
    """The needs with alternatives `a|b` taken apart."""
    return frozenset(each for need in needs for each in need.split("|"))


def tapped(needs: Iterable[str], kind: str) -> tuple[str, ...]:
    """The names behind `kind` (`features:` or `heads:`) among the needs, sorted."""
    return tuple(sorted(each.removeprefix(kind) for each in single(needs) if each.startswith(kind)))
