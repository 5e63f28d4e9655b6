"""What a network cannot learn from, told before the training begins."""

from collections.abc import Iterable

import torch

from edgekd.compute.formats import Format, measure_step
from edgekd.data.batch import Batch
from edgekd.errors import UsageError
from edgekd.models.network import Network
from edgekd.objectives.objective import Objective
from edgekd.report import Reporter
from edgekd.training.schedule import GROWTH, size_share
from edgekd.training.settings import Settled, training_step


def check_sizes(networks: Iterable[Network], config: Settled) -> None:
    """Raise UsageError when images are to grow but a network does not take each size, as transformers do not."""
    if config.progressive != 1:
        for network in networks:
            _check_sizes(network, config.progressive, config)


def _check_sizes(network: Network, first: float, config: Settled) -> None:
    spec = network.spec
    was_training = network.training
    for start in (0.0, *(until for until, _ in GROWTH)):
        side = round(spec.input_size * size_share(start, first))
        try:
            with torch.no_grad():
                network.eval().backbone(torch.zeros(2, spec.channels, side, side, device=network.offset.device))
        except Exception as error:  # each library has its own way to refuse a size
            raise UsageError(
                f"--progressive {config.progressive}: {spec.name} does not take images of {side} pixels",
                "leave it out, or --progressive 1",
            ) from error
    network.train(was_training)


FEW = 16
"""Images below which relations between them say little."""


def tell_relations(objective: Objective, config: Settled, world: int, report: Reporter) -> None:
    """Say how many images a relational method compares at a time, where these are not the whole batch, or few."""
    whole = config.batch_size
    together = whole // world // config.accumulate
    if not objective.is_relational or (together == whole and whole >= FEW):
        return
    pieces = [f"--accumulate {config.accumulate}"] * (config.accumulate > 1) + [f"{world} processes"] * (world > 1)
    why = f": {' and '.join(pieces)} divide the batch of {whole}, and nothing is gathered" if pieces else ""
    few = f"; with fewer than {FEW} they say little" if together < FEW else ""
    report.warn(f"the method compares images with each other, {together} at a time{why}{few}")


def check_pieces(objective: Objective, first: Batch, config: Settled, world: int) -> None:
    """Raise UsageError when so few images come at a time that the network's batch norms cannot learn from them."""
    share = config.batch_size // world
    if config.sync_bn and world > 1 and config.accumulate > share:
        raise UsageError(
            f"--accumulate {config.accumulate}: --sync-bn needs an image per piece, a process's share is {share}",
            "a larger --batch-size, or fewer pieces",
        )
    if share // config.accumulate > 1:
        return
    if objective.is_relational:
        raise UsageError(
            f"the method compares images with each other, and gets one at a time with --batch-size "
            f"{config.batch_size}, --accumulate {config.accumulate} and {world} process(es)",
            "a larger --batch-size or fewer pieces, or a method of single images, such as kd",
        )
    for network in objective.networks.values():
        network.training_side = round(network.spec.input_size * config.progressive)
    try:
        measure_step(Format(), objective, first.first(1), training_step(objective))
    except ValueError as error:  # torch's batch norms, where a single value is left
        raise UsageError(
            f"{objective.primary.spec.name} does not learn from one image at a time, as it gets with "
            f"--batch-size {config.batch_size}, --accumulate {config.accumulate} and {world} process(es) ({error})",
            "a larger --batch-size, or fewer pieces",
        ) from error
    for network in objective.networks.values():
        network.training_side = None
