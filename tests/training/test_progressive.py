"""Progressive resizing: small images first, the full size at the end and in evaluation."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from edgekd.compute.formats import Format
from edgekd.data.batch import Batch
from edgekd.models.network import Network
from edgekd.objectives.supervised import Supervised
from edgekd.training.schedule import size_share
from edgekd.training.update import LayerRate, Update, make_optimizer
from tests.training.test_update import SETTLED


def test_images_grow_from_the_first_share_to_the_whole() -> None:
    shares = [size_share(step / 100, 0.5) for step in range(101)]
    assert shares == sorted(shares)
    assert (shares[0], shares[50], shares[100]) == (0.5, 0.75, 1.0)


def test_the_network_sees_them_in_training_only(network: Network, batch: Batch) -> None:
    sides: list[int] = []

    def note(_: nn.Module, inputs: tuple[Tensor]) -> None:
        sides.append(inputs[0].shape[-1])

    network.backbone.register_forward_pre_hook(note)
    config = replace(SETTLED, progressive=0.5)
    update = Update(
        Supervised(network), make_optimizer(config, [LayerRate(list(network.parameters()), 1.0)]), config, Format()
    )
    for progress in (0.0, 0.5, 0.9):
        update(batch, progress)
        with torch.no_grad():
            network.eval()(batch.canvas)
    assert sides == [4, 8, 6, 8, 8, 8]
