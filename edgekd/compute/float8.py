"""Training with 8-bit floats: linear layers and convolutions whose factors are rounded, forward and backward.

Values and weights become e4m3, gradients e5m2, each tensor with a scale of its own that takes its largest value to the
format's (Micikevicius et al., "FP8 formats for deep learning", 2022). Weights stay float32 between steps.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.models.build import rebuild
from edgekd.models.cost import macs
from edgekd.models.network import Network, Spec

VALUES, GRADIENTS = torch.float8_e4m3fn, torch.float8_e5m2
MULTIPLE = 16
"""What `torch._scaled_mm` wants sides of matrices to be multiples of on a GPU."""
REAL_SINCE = (8, 9)
"""CUDA's compute capability from which a GPU multiplies 8-bit floats."""
Context = Any
"""torch's FunctionCtx, whose type does not know what is kept in it."""


def to_float8(values: Tensor, kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """`values` times a scale as 8-bit floats of the same shape, and the float32 number that undoes the scale."""
    wide = values.detach().float()
    most = torch.finfo(kind).max
    largest = wide.abs().amax() if wide.numel() else wide.new_zeros(())
    scale = torch.where(largest > 0, largest / most, 1.0).clamp(min=torch.finfo(torch.float32).tiny)
    return (wide / scale).clamp(-most, most).to(kind), scale


def rounded(values: Tensor, kind: torch.dtype) -> Tensor:
    """The float32 values that 8-bit floats of `kind` hold of `values`."""
    held, scale = to_float8(values, kind)
    return held.float() * scale


class _RoundValues(torch.autograd.Function):
    @staticmethod
    def forward(_: Context, values: Tensor) -> Tensor:
        return rounded(values, VALUES)

    @staticmethod
    def backward(_: Context, *gradients: Tensor) -> Tensor:
        return gradients[0]


class _RoundGradient(torch.autograd.Function):
    @staticmethod
    def forward(_: Context, values: Tensor) -> Tensor:
        return values.view_as(values)

    @staticmethod
    def backward(_: Context, *gradients: Tensor) -> Tensor:
        return rounded(gradients[0], GRADIENTS)


class Float8Conv2d(nn.Conv2d):
    """A convolution of rounded maps and weights, simulated: torch has none that multiplies 8-bit floats."""

    def forward(self, input: Tensor) -> Tensor:
        """Maps [n, c, h, w] to float32 maps of the convolution's size."""
        weight: Tensor = _RoundValues.apply(self.weight)
        made: Tensor = _RoundGradient.apply(self._conv_forward(_RoundValues.apply(input), weight, None))
        return made if self.bias is None else made + self.bias[:, None, None]


class Float8Linear(nn.Linear):
    """A product of matrices in 8-bit floats, `torch._scaled_mm`, which a CPU emulates."""

    def forward(self, input: Tensor) -> Tensor:
        """Rows [n, ..., inputs] to float32 rows [n, ..., outputs]."""
        rows: Tensor = _Product.apply(input.reshape(-1, self.in_features), self.weight)
        made = rows.view(*input.shape[:-1], self.out_features)
        return made if self.bias is None else made + self.bias


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, rows: Tensor, weight: Tensor) -> Tensor:
        values, weights = to_float8(rows, VALUES), to_float8(weight, VALUES)
        ctx.save_for_backward(*values, *weights)
        return multiply(values, (weights[0].t(), weights[1]))

    @staticmethod
    def backward(ctx: Context, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        values, value_scale, weights, weight_scale = ctx.saved_tensors
        gradient, scale = to_float8(gradients[0], GRADIENTS)
        needed = ctx.needs_input_grad
        by_rows = multiply((gradient, scale), (weights, weight_scale)) if needed[0] else None
        by_weight = multiply((gradient.t(), scale), (values, value_scale)) if needed[1] else None
        return by_rows, by_weight


def multiply(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> Tensor:
    """The float32 product of 8-bit matrices [m, k] and [k, n], each given with its scale."""
    rows, columns = left[0].shape[0], right[0].shape[1]
    first, second = _padded(left[0]), _padded(right[0].t()).t()
    made: Tensor = torch._scaled_mm(first, second, scale_a=left[1], scale_b=right[1], out_dtype=torch.float32)
    return made[:rows, :columns]


def _padded(matrix: Tensor) -> Tensor:
    """The matrix row after row, with zeros up to sides that `_scaled_mm` takes."""
    below, right = (-side % MULTIPLE for side in matrix.shape)
    return F.pad(matrix.contiguous().view(torch.uint8), (0, right, 0, below)).view(matrix.dtype)


FLOAT8: dict[type[nn.Module], type[nn.Module]] = {nn.Conv2d: Float8Conv2d, nn.Linear: Float8Linear}


def with_float8_layers(network: nn.Module) -> None:
    """Have every plain convolution and linear layer compute in 8-bit floats, in place; parameters stay as they are."""
    for module in network.modules():
        if type(module) in FLOAT8:
            module.__class__ = FLOAT8[type(module)]


def without_float8_layers(network: nn.Module) -> None:
    """Undo `with_float8_layers`, in place."""
    plain = {float8: layer for layer, float8 in FLOAT8.items()}
    for module in network.modules():
        if type(module) in plain:
            module.__class__ = plain[type(module)]


@dataclass(frozen=True)
class Float8Share:
    """Shares (0-1) of a network's multiply-adds: in 8-bit floats, and rounded to them but multiplied in float32."""

    real: float
    simulated: float

    def __str__(self) -> str:
        rest = max(0.0, 1 - self.real - self.simulated)
        return (
            f"{self.real:.1%} of multiply-adds in real fp8, {self.simulated:.1%} simulated (rounded to fp8, multiplied "
            f"in fp32), {rest:.1%} fp32"
        )

    def to_dict(self) -> dict[str, float]:
        """For manifests."""
        return {name: round(value, 6) for name, value in asdict(self).items()}


def float8_share(network: Network, device: torch.device) -> Float8Share:
    """What `--precision fp8` makes of a network on a device: linear layers are real on a GPU that has fp8."""
    counted = _count(network.spec)
    whole = max(macs(network), sum(counted.values()), 1)
    is_real = device.type == "cuda" and torch.cuda.get_device_capability(device) >= REAL_SINCE
    real = counted[nn.Linear] if is_real else 0
    return Float8Share(real / whole, (sum(counted.values()) - real) / whole)


@torch.no_grad()
def _count(spec: Spec) -> dict[type[nn.Module], int]:
    """Multiply-adds for one image of the layers that 8-bit floats are for, by kind."""
    counted: dict[type[nn.Module], int] = dict.fromkeys(FLOAT8, 0)

    def add(layer: nn.Module, _: Any, made: Tensor) -> None:  # noqa: ANN401
        weight: Any = layer.weight
        counted[type(layer)] += made.numel() * weight[0].numel()

    backbone = rebuild(spec).backbone.eval()
    for layer in backbone.modules():
        if type(layer) in FLOAT8:
            layer.register_forward_hook(add)
    backbone(torch.zeros(1, spec.channels, spec.input_size, spec.input_size))
    return counted
