"""The Spec's round trip and the way from canvas to normalised input."""

import json

import torch
from torch import nn

from edgekd.models.network import Network, Spec

SPEC = Spec("x", ("a", "b"), 3, 4, (0.5, 0.25, 0.0), (0.5, 0.25, 1.0), {"patch_size": 4})


def test_a_spec_survives_json() -> None:
    assert Spec.from_dict(json.loads(json.dumps(SPEC.to_dict()))) == SPEC


def test_prepare_normalises_each_channel() -> None:
    canvas = torch.full((1, 4, 4, 3), 255, dtype=torch.uint8)
    prepared = Network(nn.Identity(), SPEC).prepare(canvas)
    assert prepared.dtype == torch.float32
    torch.testing.assert_close(prepared[0, :, 0, 0], torch.tensor([1.0, 3.0, 1.0]))


def test_prepare_keeps_channels_last_strides_without_a_copy_of_layout() -> None:
    canvas = torch.randint(0, 256, (2, 4, 4, 3), dtype=torch.uint8)
    network = Network(nn.Identity(), SPEC)
    assert network.prepare(canvas).is_contiguous(memory_format=torch.channels_last)
    network.is_channels_last = False
    assert network.prepare(canvas).is_contiguous()


def test_prepare_resizes_a_canvas_of_another_side() -> None:
    canvas = torch.zeros(1, 8, 8, 3, dtype=torch.uint8)
    canvas[:, :4] = 255
    prepared = Network(nn.Identity(), SPEC).prepare(canvas)
    assert prepared.shape == (1, 3, 4, 4)
    torch.testing.assert_close(prepared[0, 0, :, 0], torch.tensor([1.0, 0.75, -0.75, -1.0]))


def test_a_grey_canvas_feeds_a_network_of_three_channels() -> None:
    canvas = torch.full((2, 4, 4, 1), 255, dtype=torch.uint8)
    assert Network(nn.Identity(), SPEC).prepare(canvas).shape == (2, 3, 4, 4)


def test_the_normalisation_is_not_part_of_the_saved_state() -> None:
    assert not Network(nn.Identity(), SPEC).state_dict()
