"""Formats chosen by earlier trials, remembered per (network, machine), so that equal commands compute alike."""

import hashlib
import json
import platform
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from edgekd.cores import available_cores
from edgekd.data.batch import Batch
from edgekd.errors import BadInput, DataError
from edgekd.images.space import cache_root
from edgekd.models.network import Network
from edgekd.reading import read_json
from edgekd.runs import write_json

NAME = "formats.json"
"""In edgekd's cache folder; removing the file has everything measured anew."""
MOST = 500


def key_of(module: nn.Module, batch: Batch, asked: tuple[str, ...]) -> str:
    """What a trial's outcome depends on, as a hash: networks, batch, what was left open, machine, torch."""
    networks = [each for each in module.modules() if isinstance(each, Network)]
    live = getattr(getattr(module, "teacher", None), "network", None)
    facts = {
        "step": type(module).__name__,
        "networks": [
            (each.spec.name, each.spec.input_size, each.spec.options, sum(value.numel() for value in each.parameters()))
            for each in (*networks, *([live] if live is not None else []))
        ],
        "trained": sum(each.numel() for each in module.parameters() if each.requires_grad) if module.training else 0,
        "batch": list(batch.canvas.shape),
        "device": str(batch.canvas.device),
        "asked": asked,
        "threads": torch.get_num_threads(),
        "machine": [platform.node(), platform.processor(), platform.machine(), available_cores()],
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def recall(key: str) -> dict[str, Any] | None:
    """What was chosen for this key before."""
    with suppress(BadInput):
        found = read_json(cache_root() / NAME, BadInput).get(key)
        return found if isinstance(found, dict) else None
    return None


def remember(key: str, chosen: dict[str, Any]) -> None:
    """Keep a choice; the oldest make way. A place that cannot be written only costs the next trial."""
    known: dict[str, Any] = {}
    with suppress(BadInput):
        known = read_json(cache_root() / NAME, BadInput)
    kept = sorted(known.items(), key=lambda item: _turn(item[1]))[-MOST:]
    turn = 1 + max((_turn(value) for _, value in kept), default=0)
    with suppress(DataError):
        write_json(cache_root() / NAME, dict(kept) | {key: chosen | {"turn": turn}})


def _turn(entry: Any) -> int:  # noqa: ANN401
    found = entry.get("turn") if isinstance(entry, dict) else None
    return found if isinstance(found, int) else 0
