"""Which weights are kept as the best."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from edgekd.config import Fit
from edgekd.images.imageset import Split
from edgekd.models.network import Network
from edgekd.runs import Run
from edgekd.training.keeper import Keeper, _save
from tests.training.test_update import an_update


def test_a_disk_that_is_full_is_an_os_error() -> None:
    with pytest.raises(OSError, match=r"space|error"):
        _save({"weights": torch.zeros(100_000)}, Path("/dev/full"))


def test_of_equally_accurate_weights_those_of_the_smaller_loss_are_kept(
    network: Network, split: Split, tmp_path: Path
) -> None:
    keeper = Keeper(Run(tmp_path), an_update(network), split, Fit(batch_size=8), 3)
    head = network.backbone[6]
    torch.nn.init.zeros_(head.weight)
    kept = []
    for bias in (1.0, 0.1, 5.0):  # "dark" for every image, half of them rightly, and more or less sure of it
        with torch.no_grad():
            head.bias.copy_(torch.tensor([bias, 0.0]))
        keeper.judge_start()
        kept.append(load_file(Run(tmp_path).weights)["6.bias"][0].item())
    assert kept == [1.0, torch.tensor(0.1).item(), torch.tensor(0.1).item()] and keeper.record.best_top1 == 0.5
