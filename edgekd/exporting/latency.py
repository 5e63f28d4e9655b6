"""Latency and memory of a network that is not trained yet: neither depends on its weights."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from edgekd import __version__
from edgekd.config import Export, Profile
from edgekd.exporting.onnx import write_onnx
from edgekd.models.cost import measure
from edgekd.models.network import Network
from edgekd.profiling.survey import survey
from edgekd.report import Reporter
from edgekd.runs import slug
from edgekd.runtimes.record import FORMAT

WARM_UP_SECONDS = 0.5


SECONDS = 2.0


def measure_untrained(network: Network, limits: Profile, report: Reporter) -> dict[str, Any]:
    """What `edgekd profile` with these options says of the network's export, which is removed again; on the CPU."""
    spec, cost = network.spec, measure(network.spec)
    facts = {"format": FORMAT, "edgekd": __version__, "model": spec.name, "input_size": spec.input_size}
    facts |= {"params": cost.parameters, "macs": cost.macs}
    example = torch.zeros(2, spec.channels, spec.input_size, spec.input_size)
    with TemporaryDirectory(prefix="edgekd-dry-run-") as folder:
        path = Path(folder) / f"{slug(spec.name)}.onnx"
        write_onnx(network.backbone, example, path, Export().opset, facts)
        found = survey(replace(limits, models=(str(path),), warmup=WARM_UP_SECONDS, duration=SECONDS), report)
    for words in found["warnings"]:
        # That load is the dry run's own; a busy machine is reported at its start.
        if "load average" not in words:
            report.warn(words)
    return found
