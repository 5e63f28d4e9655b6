"""The papers' families: exact parameter counts, dropout and shapes."""

import pytest
import torch
from torch import nn

from edgekd.models.families import custom_student, custom_teacher, rescnn


def count(net: nn.Module) -> int:
    return sum(each.numel() for each in net.parameters())


def test_p2_student_has_11_444_parameters() -> None:
    assert count(custom_student(10, 3)) == 11_444


@pytest.mark.parametrize(("blocks", "parameters"), [(4, 39_316), (6, 57_876), (8, 76_436)])
def test_p2_teachers_have_the_papers_parameters(blocks: int, parameters: int) -> None:
    assert count(custom_teacher(blocks, 10, 3)) == parameters


@pytest.mark.parametrize(
    ("blocks", "parameters"),
    [(4, 98_294), (6, 408_854), (8, 1_648_470), (10, 6_601_686), (12, 26_534_358)],
)
def test_p4_nets_have_the_papers_parameters_with_six_classes(blocks: int, parameters: int) -> None:
    with torch.device("meta"):
        assert count(rescnn(blocks, 6, 3)) == parameters


@pytest.mark.parametrize("blocks", [4, 6, 8])
def test_p2_drops_after_every_block_and_in_the_classifier(blocks: int) -> None:
    found = [each for each in custom_teacher(blocks, 10, 3).modules() if isinstance(each, nn.Dropout)]
    assert len(found) == blocks + 2


def test_p2_student_drops_three_times() -> None:
    assert sum(isinstance(each, nn.Dropout) for each in custom_student(10, 3).modules()) == 3


def test_p2_maps_keep_their_side() -> None:
    net = custom_teacher(4, 10, 3)
    assert isinstance(net, nn.Sequential)
    assert net[:5](torch.zeros(1, 3, 32, 32)).shape == (1, 32, 32, 32)


def test_p4_doubles_the_width_in_every_second_block() -> None:
    net = rescnn(6, 6, 3)
    assert isinstance(net, nn.Sequential)
    assert net[:7](torch.zeros(1, 3, 150, 150)).shape == (1, 128, 19, 19)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [28, 64])
def test_every_family_takes_any_size_and_grey_images(channels: int, size: int) -> None:
    for net in (custom_student(2, channels), custom_teacher(4, 2, channels), rescnn(4, 2, channels)):
        assert net.eval()(torch.zeros(1, channels, size, size)).shape == (1, 2)
