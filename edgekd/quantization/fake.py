"""Layers that compute in float32 what INT8 will compute: values rounded to the grid, gradients passed through.

Straight-through gradients: Bengio et al. (2013); ranges averaged while training: Krishnamoorthi (2018), section 3.2.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.quantization.grid import LIMITS, Kind, Steps, activation_steps

MOMENTUM = 0.02
"""Share of the newest batch in the averaged extent of an activation."""


class FakeActivation(nn.Module):
    """Rounds activations to 256 values of a range that follows the extent of the batches while training.

    `share` is the part of the extent that calibration found worth covering, below and above 0.
    """

    extent: Tensor
    share: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.is_off = False
        self.register_buffer("extent", torch.zeros(2))
        self.register_buffer("share", torch.ones(2))

    def calibrate(self, low: float, high: float, covered: tuple[float, float]) -> None:
        """Start from an extent [low, high] of which `covered` is kept."""
        ends = (min(low, 0.0), max(high, 0.0))
        self.extent.copy_(torch.tensor(ends))
        parts = [kept / end if end else 1.0 for kept, end in zip(covered, ends, strict=True)]
        self.share.copy_(torch.tensor(parts).clamp(0.0, 1.0))

    def steps(self, kind: Kind = "uint8") -> Steps:
        """The grid as the writer takes it; both kinds hold the same real values."""
        low, high = (self.extent * self.share).tolist()
        return activation_steps(low, high, kind)

    def forward(self, values: Tensor) -> Tensor:
        """Values of any shape to the nearest ones on the grid."""
        if self.is_off:
            return values
        if self.training:
            found = torch.stack(torch.aminmax(values.detach().float()))
            found = torch.stack([found[0].clamp(max=0.0), found[1].clamp(min=0.0)])
            self.extent.lerp_(found, MOMENTUM)
        steps = self.steps()
        low, high = LIMITS[steps.kind]
        # float32 also under autocast: 8 bits of a bfloat16 do not hold 256 values and their scale
        return torch.fake_quantize_per_tensor_affine(values.float(), float(steps.scale), steps.zero_point, low, high)


@torch.no_grad()
def weight_scale(weights: Tensor, limit: int) -> Tensor:
    """The scale [outputs] of weights [outputs, ...] as symmetric whole numbers up to `limit`."""
    largest = weights.float().flatten(1).abs().amax(1)
    return torch.where(largest > 0, largest / limit, torch.ones_like(largest)).clamp(min=torch.finfo().tiny)


def fake_weights(weights: Tensor, limit: int) -> Tensor:
    """Weights [outputs, ...] rounded to symmetric whole numbers up to `limit`, with a scale for each output."""
    values = weights.float()
    scale = weight_scale(weights, limit)
    zero = torch.zeros_like(scale, dtype=torch.int32)
    rounded: Tensor = torch.fake_quantize_per_channel_affine(values, scale, zero, 0, -limit, limit)
    return rounded


def _weights(layer: "FakeConv2d | FakeLinear") -> Tensor:
    """The layer's weights, rounded."""
    return layer.weight if layer.is_off else fake_weights(layer.weight, layer.limit)


def _biases(layer: "FakeConv2d | FakeLinear") -> Tensor | None:
    """Its biases, rounded as INT8 kernels hold them: in steps of the input's scale times the weights'."""
    if layer.is_off or layer.bias is None or not layer.given or layer.given[0].is_off:
        return layer.bias
    step = weight_scale(layer.weight, layer.limit) * float(layer.given[0].steps().scale)
    rounded = (layer.bias.detach() / step).round() * step
    return layer.bias + (rounded - layer.bias.detach())


class FakeConv2d(nn.Conv2d):
    """A convolution with rounded weights and biases."""

    limit = 127
    is_off = False
    given: tuple[FakeActivation, ...] = ()
    """The fake of what it is given, if there is one."""

    def forward(self, input: Tensor) -> Tensor:
        """Maps [n, c, h, w], as `nn.Conv2d`."""
        maps: Tensor = self._conv_forward(input, _weights(self), _biases(self))
        return maps


class FakeLinear(nn.Linear):
    """A matrix product with rounded weights and biases."""

    limit = 127
    is_off = False
    given: tuple[FakeActivation, ...] = ()
    """The fake of what it is given, if there is one."""

    def forward(self, input: Tensor) -> Tensor:
        """Rows [n, ..., inputs], as `nn.Linear`."""
        return F.linear(input, _weights(self), _biases(self))


def fake_layer(layer: nn.Conv2d | nn.Linear, limit: int) -> nn.Module:
    """The same layer with rounded weights and biases, sharing its parameters."""
    found: Any = nn.Module.__new__(FakeConv2d if isinstance(layer, nn.Conv2d) else FakeLinear)
    found.__dict__.update(layer.__dict__)
    found.limit = limit
    module: nn.Module = found
    return module


def switch(network: nn.Module, *, off: bool) -> None:
    """Compute in float32 (`off`), or on the grid."""
    for module in network.modules():
        if isinstance(module, FakeActivation | FakeConv2d | FakeLinear):
            module.is_off = off
