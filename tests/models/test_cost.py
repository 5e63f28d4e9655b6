"""Parameters and multiply-adds against counts by hand and from the papers."""

from pathlib import Path
from typing import Any

import pytest

from edgekd.config import TrainTeacher
from edgekd.models.build import build
from edgekd.models.cost import folded_parameters, macs, parameters, parameters_with_statistics


def test_resnet8_counts_as_mlperf_tiny_does(images: Any) -> None:  # noqa: ANN401
    network = build("resnet8", images)
    assert parameters(network) == 78_186
    assert folded_parameters(network) == 77_706
    assert parameters_with_statistics(network) == 78_666


def test_batch_norm_after_an_activation_does_not_fold(images: Any) -> None:  # noqa: ANN401
    network = build("custom-teacher-4", images)
    assert folded_parameters(network) == parameters(network) == 39_316


def test_folding_gives_a_bias_to_a_layer_without_one(images: Any) -> None:  # noqa: ANN401
    network = build("resnet18", images)
    channels = (
        sum(each.numel() for name, each in network.named_parameters() if each.ndim == 1 and "fc" not in name) // 2
    )
    assert folded_parameters(network) == parameters(network) - channels


def test_macs_of_p2s_student_by_hand(images: Any) -> None:  # noqa: ANN401
    convolutions = 32 * 32 * 9 * (3 * 32 + 32 * 32)
    assert macs(build("custom-student", images)) == convolutions + 32 * 30 + 30 * 10


def test_frozen_parameters_do_not_count(images: Any) -> None:  # noqa: ANN401
    network = build("custom-student", images).requires_grad_(False)
    assert parameters(network) == 0


def test_the_users_own_network_is_counted(own_file: Path, images: Any) -> None:  # noqa: ANN401
    network = build(f"{own_file}:build", images, code=TrainTeacher(model=f"{own_file}:build"))
    assert macs(network) == 30 * 30 * 27 * 8 + 8 * 30 * 30 * 10


@pytest.mark.parametrize("name", ["vit_tiny", "swin_tiny", "mobilenetv3_small"])
def test_attention_and_depthwise_layers_are_counted(name: str, images: Any) -> None:  # noqa: ANN401
    assert macs(build(name, images)) > 10**6
