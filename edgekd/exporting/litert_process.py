"""Runs in the converter's own environment: `python -m edgekd.exporting.litert_process`, one JSON command on stdin.

litert-torch needs an older torch than edgekd, so that this network is built and converted in a process apart.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch

from edgekd.config import Export
from edgekd.errors import EdgekdError
from edgekd.models.trained import load_network
from edgekd.quantization.placement import float_twin
from edgekd.runs import Run

try:
    import litert_torch
except ImportError as error:
    sys.exit(f"litert_torch cannot be imported: {error}")


def convert(run: str, target: str, batch: int, trust_code: bool) -> None:
    """Write the network of a run: float32 [batch, C, S, S] -> logits [batch, classes]."""
    network = load_network(Run(Path(run)), Export(trust_code=trust_code)).eval()
    size = network.spec.input_size
    example = torch.zeros(batch, len(network.spec.mean), size, size)
    converter: Any = litert_torch
    converter.convert(float_twin(network.backbone).eval(), (example,)).export(target)


if __name__ == "__main__":
    try:
        convert(**json.loads(sys.stdin.read()))
    except EdgekdError as error:
        sys.exit(error.problem)
