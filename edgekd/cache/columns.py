"""Logits as stored numbers and back: fp32, fp16, u8 (scaled per row) or the top k with the mass of the rest."""

from collections.abc import Mapping

import torch
from torch import Tensor

from edgekd.cache.rows import WIDE

DTYPES = {"fp16": torch.float16, "fp32": torch.float32}


def encode(logits: Tensor, target: Tensor, store: str, topk: int) -> dict[str, Tensor]:
    """Columns of float32 logits [rows, classes]; `target` [rows] (-1: unlabelled) is used by topk alone."""
    if store in DTYPES:
        return {"logits": logits.to(DTYPES[store]).contiguous()}
    if store == "u8":
        return _encode_u8(logits)
    return _encode_top(logits, target, topk)


def decode(columns: Mapping[str, Tensor], store: str, classes: int) -> Tensor:
    """Float32 logits [rows, classes]; of a topk store the rest shares its mass evenly."""
    if store in DTYPES:
        return columns["logits"].float()
    if store == "u8":
        scale, low = columns["scale"].float()[:, None], columns["low"].float()[:, None]
        return columns["logits"].float().mul_(scale).add_(low)
    return _decode_top(columns, classes)


def _encode_u8(logits: Tensor) -> dict[str, Tensor]:
    """Levels 0-255 of each row's span; `low` and `scale` are rounded outwards first, so that they lose nothing."""
    least, most = logits.amin(1), logits.amax(1)  # aminmax is fourteen times as slow
    low, infinity = least.half(), torch.tensor(torch.inf, dtype=torch.float16)
    low = torch.where(low.float() > least, torch.nextafter(low, -infinity), low)
    wanted = (most - low.float()).clamp(min=1e-5) / 255
    scale = wanted.half()
    scale = torch.where(scale.float() < wanted, torch.nextafter(scale, infinity), scale)
    levels = logits.sub(low.float()[:, None]).mul_(1 / scale.float()[:, None]).add_(0.5)
    return {"logits": levels.clamp_(0, 255).to(torch.uint8), "low": low, "scale": scale}


def _encode_top(logits: Tensor, target: Tensor, topk: int) -> dict[str, Tensor]:
    """The k largest logits, the label's own, and the log of the summed exponentials of all others."""
    number = torch.int16 if logits.shape[1] <= WIDE else torch.int32
    values, index = logits.topk(topk, dim=1)
    known = target.clamp(min=0)[:, None]
    listed = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, index, True)
    listed.scatter_(1, known, listed.gather(1, known) | (target >= 0)[:, None])
    rest = logits.masked_fill(listed, -torch.inf).logsumexp(1)
    return {
        "topk": values.half(),
        "index": index.to(number),
        "label": target.to(number),
        "label_logit": logits.gather(1, known)[:, 0].half(),
        "rest": rest,
    }


def _decode_top(columns: Mapping[str, Tensor], classes: int) -> Tensor:
    index, label = columns["index"].long(), columns["label"].long()
    known = label.clamp(min=0)[:, None]
    is_listed = (index == label[:, None]).any(1) | (label < 0)
    others = classes - index.shape[1] - (~is_listed).long()
    # no class is left over when k is all of them: log(0) is -inf as the mass is
    each = columns["rest"] - others.clamp(min=1).log()
    dense = each[:, None].expand(-1, classes).clone()
    own = torch.where(label < 0, dense[:, 0], columns["label_logit"].float())
    dense.scatter_(1, known, own[:, None])
    return dense.scatter_(1, index, columns["topk"].float())


def topk_errors(logits: Tensor, target: Tensor, topk: int, temperatures: tuple[float, ...]) -> dict[str, float]:
    """How far the KD gradient of a fresh student is off when the teacher's logits went through topk.

    The gradient with respect to the student's logits is softmax(s/T) - softmax(t/T); a fresh student's softmax is
    uniform. Given is the norm of the difference over the norm of the dense gradient, over all rows, per T.
    """
    found = decode(encode(logits, target, "topk", topk), "topk", logits.shape[1])
    errors = {}
    for temperature in temperatures:
        dense, kept = ((each / temperature).softmax(1) for each in (logits, found))
        gradient = 1 / logits.shape[1] - dense
        errors[f"{temperature:g}"] = float((dense - kept).norm() / gradient.norm().clamp(min=1e-12))
    return errors
