"""What a row of a cache holds in each number format, and how many bytes it takes. Needs no torch."""

import math
from collections.abc import Mapping

STORES = ("fp16", "u8", "fp32", "topk")
DENSE_LIMIT = 1024
"""Up to so many classes all logits are kept unless something else is requested (DESIGN's figure for fp16)."""
WIDE = 32_767
"""Class numbers above this take four bytes."""


def default_store(classes: int) -> str:
    """fp16 while a row stays small, then the top k."""
    return "fp16" if classes <= DENSE_LIMIT else "topk"


def row_bytes(store: str, classes: int, topk: int, extras: Mapping[str, list[int]]) -> int:
    """Bytes of one image in one view."""
    dense = {"fp32": 4 * classes, "fp16": 2 * classes, "u8": classes + 4}
    number = 2 if classes <= WIDE else 4
    logits = dense[store] if store in dense else topk * (2 + number) + 2 + number + 4
    return logits + sum(2 * math.prod(shape) for shape in extras.values())


def row_shapes(store: str, classes: int, topk: int, extras: Mapping[str, list[int]]) -> dict[str, tuple[int, ...]]:
    """The columns of a store and the shape of a row of each."""
    logits: dict[str, dict[str, tuple[int, ...]]] = {
        "u8": {"logits": (classes,), "low": (), "scale": ()},
        "topk": {"topk": (topk,), "index": (topk,), "label": (), "label_logit": (), "rest": ()},
    }
    return logits.get(store, {"logits": (classes,)}) | {name: tuple(shape) for name, shape in extras.items()}
