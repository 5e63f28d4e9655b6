"""A trained network made ready to be trained further on the INT8 grid."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from edgekd.config import Distill, Finetune
from edgekd.data.loader import PLAIN, make_batch
from edgekd.errors import UsageError
from edgekd.images.imageset import ImageData
from edgekd.models.network import Network
from edgekd.models.transforms import INT8, transform
from edgekd.profiling.device.host import read_host
from edgekd.quantization.kernels import kernels_of
from edgekd.quantization.placement import fakes_of, without_fakes
from edgekd.quantization.ranges import ranges_of, summarise
from edgekd.report import Reporter

IMAGES = 256
"""Training images that the ranges start from."""
BATCH = 32

Config = TypeVar("Config", Distill, Finetune)


def round_network(network: Network, data: ImageData, config: Config, report: Reporter) -> Config:
    """Fold, fake and calibrate `network` in place; the options with the number format that this needs.

    The ranges start as those of least squared error on training images and follow the batches while training. A
    network that is on the grid already stays as it is. Raises UsageError where its operations cannot be traced, or
    another number format was requested.
    """
    if config.precision not in ("auto", "fp32"):
        raise UsageError(
            f"--precision {config.precision} and --quantize {config.quantize}: they exclude each other",
            "the grid of 8 bits is finer than that format: leave --precision out",
        )
    config = replace(config, precision="fp32")
    if network.spec.transforms:
        return config
    host = read_host()
    kernels = kernels_of(host.title, host.arch, host.features)
    transform(network, {"name": INT8, "weight_limit": kernels.weight_limit})
    positions = np.linspace(0, len(data.train) - 1, min(IMAGES, len(data.train))).astype(np.int64)
    with torch.inference_mode():
        inputs = network.eval().prepare(make_batch(data.train, positions, PLAIN).canvas)
    _calibrate(network.backbone, inputs)
    fakes = len(fakes_of(network.backbone))
    report.note(f"INT8: {fakes} tensors rounded to 8 bits, ranges from {len(positions)} training images")
    return config


def _calibrate(backbone: torch.nn.Module, inputs: Tensor) -> None:
    if not isinstance(backbone, fx.GraphModule):
        raise TypeError("only a faked network can be calibrated")
    plain = without_fakes(backbone)

    def batches() -> Iterator[dict[str, NDArray[np.float32]]]:
        for start in range(0, len(inputs), BATCH):
            part = inputs[start : start + BATCH]
            with torch.inference_mode():
                found = plain.module(part)
            values = {name: part for name in plain.on_input} | dict(zip(plain.names, found[1:], strict=True))
            yield {name: each.contiguous().numpy() for name, each in values.items()}

    observed = summarise(batches)
    covered = ranges_of(observed, "mse")
    for name, fake in fakes_of(backbone).items():
        fake.calibrate(observed[name].low, observed[name].high, covered[name])
