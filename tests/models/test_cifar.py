"""The wide CIFAR ResNets: counts as in the literature, stages that methods find, and the literature's comparison."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.models.cifar import wide_resnet
from edgekd.models.network import Network, Spec
from edgekd.models.taps import examine
from tests.conftest import Cli

CLASSES = 100


@pytest.mark.parametrize(("depth", "parameters"), [(8, 1_233_540), (32, 7_433_860)])
def test_the_counts_are_those_of_the_literature(depth: int, parameters: int) -> None:
    assert sum(each.numel() for each in wide_resnet(depth, CLASSES, 3).parameters()) == parameters


def test_its_stages_are_found() -> None:
    spec = Spec("resnet8x4", tuple(map(str, range(CLASSES))), 3, 32, (0.5,) * 3, (0.25,) * 3)
    anatomy = examine(Network(wide_resnet(8, CLASSES, 3), spec))
    shapes = [anatomy.taps[name].shape for name in anatomy.stages]
    assert shapes[-3:] == [(64, 32, 32), (128, 16, 16), (256, 8, 8)] and anatomy.pooled == 256


@pytest.mark.slow
def test_the_literatures_comparison_runs(cli: Cli, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for split, count in (("train", 3), ("test", 1)):
        for kind in range(CLASSES):
            folder = tmp_path / "made-up" / split / f"{kind:02d}"
            folder.mkdir(parents=True)
            for number in range(count):
                picture = random.integers(0, 255, (32, 32, 3), np.uint8)
                Image.fromarray(picture).save(folder / f"{number}.png")
    fit = ("--threads", 1, "--precision", "fp32", "--memory-format", "channels-last", "--lr", 0.05, "--steps", 2)
    data = ("--data", tmp_path / "made-up", "--batch-size", 8, *fit)
    assert cli("train-teacher", "--model", "resnet32x4", *data, "--name", "t").code == 0
    for options in (("kd",), ("dkd",), ("ls",), ("mlkd", "--set", "standardize=true")):
        name = options[0]
        taught = ("distill", "--teacher", "t", "--live", "--student", "resnet8x4", "--method", *options)
        called = cli(*taught, *data, "--name", name, "--json")
        assert called.code == 0 and called.json["params"] == 1_233_540 and called.json["steps"] == 2, called.err
