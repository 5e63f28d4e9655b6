import numpy as np
import pytest
import torch
from torch import nn

from edgekd.quantization.fake import MOMENTUM, FakeActivation, fake_layer, fake_weights, switch
from edgekd.quantization.grid import activation_steps, weight_steps


@pytest.mark.parametrize(("low", "high"), [(0.0, 6.0), (-1.0, 3.0), (-2.5, 0.0)])
def test_activations_are_rounded_as_the_writer_rounds(low: float, high: float) -> None:
    fake = FakeActivation().eval()
    fake.calibrate(low, high, (low, high))
    values = np.linspace(-4, 8, 1001, dtype=np.float32)
    expected = activation_steps(low, high, "uint8").rounded(values)
    found = fake(torch.from_numpy(values)).numpy()
    # torch multiplies by the inverse of the scale, so that a value midway between two steps may go either way
    steps = np.abs(found - expected) / float(fake.steps().scale)
    assert steps.max() <= 1.01 and (steps > 0.01).mean() < 0.02


@pytest.mark.parametrize("limit", [127, 63])
def test_weights_are_rounded_as_the_writer_rounds(limit: int) -> None:
    weights = np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32)
    weights[2] = 0
    expected = weight_steps(weights, 0, limit).rounded(weights)
    assert np.allclose(fake_weights(torch.from_numpy(weights), limit).numpy(), expected, atol=1e-7)


def test_gradients_pass_within_the_range_alone() -> None:
    fake = FakeActivation().eval()
    fake.calibrate(-1, 1, (-1, 1))
    values = torch.tensor([-5.0, 0.3, 5.0], requires_grad=True)
    fake(values).sum().backward()
    assert values.grad is not None and values.grad.tolist() == [0, 1, 0]


def test_the_range_follows_the_batches_while_training_alone() -> None:
    fake = FakeActivation()
    fake.calibrate(0.0, 4.0, (0.0, 2.0))
    fake.eval()(torch.full((3,), 8.0))
    assert fake.extent.tolist() == [0, 4]
    fake.train()(torch.full((3,), 8.0))
    assert fake.extent.tolist() == pytest.approx([0, 4 + MOMENTUM * 4])
    # half of the extent is covered, as calibration had it
    assert float(fake.steps().scale) == pytest.approx((4 + MOMENTUM * 4) / 2 / 255)


def test_a_faked_layer_shares_its_parameters_and_can_be_switched_off() -> None:
    layer = nn.Conv2d(3, 4, 3)
    fake = fake_layer(layer, 127)
    inputs = torch.randn(2, 3, 8, 8)
    assert fake.weight is layer.weight
    assert not torch.equal(fake(inputs), layer(inputs))
    switch(fake, off=True)
    assert torch.equal(fake(inputs), layer(inputs))
