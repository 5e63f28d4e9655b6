"""PyTorch's layers where PyTorch is slow to train them on a CPU: the same parameters and results, less time."""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 256
"""Values of a random byte."""
SMALL_MAP = 16
"""Places of a map up to which a 1x1 convolution is faster as a product of matrices."""
Context = Any
"""torch's FunctionCtx, whose type does not know what is kept in it."""


class Dropout(nn.Dropout):
    """`nn.Dropout`: in training each value is 0 with probability `p`, else times 1 / (1 - p); in evaluation itself.

    Its mask takes a byte of randomness per value: torch's own draw is a third and more of the step of P2's nets. Two
    words of torch's generator fix the bytes, so a seed does; with equal seeds the mask differs from that of
    `nn.Dropout`, and it follows the order of the values in memory.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Values of any shape to values of the same shape; with `inplace` the given tensor is changed."""
        if not self.training or not 0 < self.p < 1 or maps.device.type != "cpu":
            return F.dropout(maps, self.p, self.training, self.inplace)
        dropped: Tensor = _Drop.apply(maps, self.p, self.inplace)
        return dropped


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, maps: Tensor, p: float, inplace: bool) -> Tensor:
        kept = keep_mask(maps, p)
        ctx.save_for_backward(kept)
        ctx.scale = 1 / (1 - p)
        if inplace:
            ctx.mark_dirty(maps)
        return _scaled(maps, kept, ctx.scale, inplace=inplace)

    @staticmethod
    def backward(ctx: Context, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (kept,) = ctx.saved_tensors
        return _scaled(gradients[0], kept, ctx.scale), None, None


def _scaled(values: Tensor, kept: Tensor, scale: float, *, inplace: bool = False) -> Tensor:
    """`values` times `scale` where `kept` is 1, 0 where it is 0, in as few passes over memory as there can be."""
    if values.dtype.itemsize != torch.int16.itemsize:
        factors = kept.to(values.dtype)
        if torch.is_grad_enabled():
            return values * (factors * scale)  # someone wants the gradient's own gradient
        zero = values.new_zeros(())
        return torch.addcmul(zero, values, factors, value=scale, out=values if inplace else factors)
    # arithmetic of half the cost: whole numbers times the bits of `scale`
    bits = int(torch.tensor(scale, dtype=values.dtype).view(torch.int16))
    factors = kept.to(torch.int16).mul_(bits).view(values.dtype)
    return values.mul_(factors) if inplace else factors.mul_(values)


def keep_mask(like: Tensor, p: float) -> Tensor:
    """uint8 of the shape and strides of `like`: 0 with probability `p`, else 1.

    A byte knows only multiples of 1/256, so the whole mask uses the one below `p` or the one above it, by a draw that
    makes each value's probability exactly `p`.
    """
    seeds = torch.empty(3, dtype=torch.int64).random_(-(2**31), 2**31).tolist()
    words = _hashed(-(-like.numel() // 4), seeds[0], seeds[1])
    level = int(p * LEVELS + (seeds[2] + 2**31) / 2**32)
    strides = torch.empty_like(like, device="meta").stride()
    kept = words.view(torch.uint8).as_strided(like.shape, strides)
    if level == 0:
        return kept.fill_(1)
    # uint8 arithmetic is vectorised, comparisons are not: level - 1 and below become 0, the others 1
    return kept.clamp_(level - 1, level).sub_(level - 1) if level < LEVELS else kept.zero_()


def _hashed(count: int, first: int, second: int) -> Tensor:
    """`count` random int32 words: Wellons' hash lowbias32 (2018) of an arithmetic progression that two seeds choose.

    In whole numbers, vectorised and shared among threads, it takes a third of the time of torch's serial generator.
    """
    words = torch.mul(_positions(1 << count.bit_length())[:count], second | 1).add_(first)
    _fold(words, 16).mul_(0x7FEB352D)
    _fold(words, 15).mul_(0x846CA68B - 2**32)
    return _fold(words, 16)


def _fold(words: Tensor, bits: int) -> Tensor:
    """Xor the upper bits of each word into its lower ones, in place (a shift of int32 repeats the sign: cut)."""
    return words.bitwise_xor_((words >> bits).bitwise_and_((1 << (32 - bits)) - 1))


@cache
def _positions(count: int) -> Tensor:
    return torch.arange(count, dtype=torch.int32, device="cpu")


class GlobalPool(nn.AdaptiveAvgPool2d):
    """The mean over each map, [n, c, h, w] to [n, c, 1, 1]; of maps channels last the gradient is not written out.

    torch writes it channels first; what comes before the pool in a channels-last network then takes ten times as long.
    Where maps lie channels first it is as good.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Maps [n, c, h, w] to their means [n, c, 1, 1]."""
        is_first = input.is_contiguous() and not input.is_contiguous(memory_format=torch.channels_last)
        if not self.training or is_first:
            return super().forward(input)
        means: Tensor = _Mean.apply(input)
        return means


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, maps: Tensor) -> Tensor:
        ctx.shape = maps.shape
        return maps.mean((-2, -1), keepdim=True)

    @staticmethod
    def backward(ctx: Context, *gradients: Tensor) -> Tensor:
        shared: Tensor = gradients[0] / ctx.shape[-2:].numel()
        return shared.expand(ctx.shape)


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise `nn.Conv2d` around two slow places of oneDNN.

    The weight gradient on maps smaller than the kernel takes tens to hundreds of times as long as the forward pass:
    more than a third of mobilenetv3_small's training step at 64 px. And depthwise convolutions in bf16 take several
    times as long as in fp32, so under autocast on a CPU they stay in fp32.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [n, channels, h, w] to maps of the convolution's size."""
        if maps.device.type != "cpu" or maps.ndim != 4:
            return super().forward(maps)
        if torch.is_autocast_enabled("cpu") and self.weight.dtype == torch.float32:
            with torch.autocast("cpu", enabled=False):
                return self.forward(maps.float())
        if not torch.is_grad_enabled() or max(maps.shape[-2:]) >= max(self.kernel_size):
            return super().forward(maps)
        convolved: Tensor = _ByTaps.apply(maps, self.weight, self.bias, self.stride, self.padding)
        return convolved


class _ByTaps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context,
        maps: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
    ) -> Tensor:
        ctx.save_for_backward(maps, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(maps, weight, bias, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Context, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        (gradient,) = gradients
        maps, weight = ctx.saved_tensors
        needed = ctx.needs_input_grad
        by_maps: Tensor | None = None
        if needed[0]:
            places = ctx.stride, ctx.padding, (1, 1), False, (0, 0), len(weight), (True, False, False)
            by_maps = torch.ops.aten.convolution_backward(gradient, maps, weight, None, *places)[0]
        by_weight = weight_gradient(maps, gradient, weight, ctx.stride, ctx.padding) if needed[1] else None
        return by_maps, by_weight, gradient.sum((0, 2, 3)) if needed[2] else None, None, None


def weight_gradient(
    maps: Tensor, gradient: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """What a depthwise convolution's weights [channels, 1, k, l] get, from all products of a value in and one out.

    `maps` [n, channels, h, w] went in, `gradient` is that of what came out. On small maps the products of all pairs of
    places are few, and two products of matrices where a loop over the taps takes dozens of calls.
    """
    # bmm's own copies of channels-last maps take seven times as long
    ins = maps.permute(1, 2, 3, 0).flatten(1, 2).contiguous()
    outs = gradient.permute(1, 0, 2, 3).flatten(2).contiguous()
    meetings = _meetings(maps.shape[2:], gradient.shape[2:], weight.shape[2:], stride, padding)
    return (torch.bmm(ins, outs).flatten(1) @ meetings.to(maps.dtype)).view_as(weight)


@cache
def _meetings(
    size: torch.Size, out: torch.Size, kernel: torch.Size, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """1 where a tap takes a place of the map to a place of the output, else 0: [places * places out, taps]."""
    axes = zip(size, out, kernel, stride, padding, strict=True)
    down, right = (_along(*each) for each in axes)
    return torch.einsum("hyk,wxl->hwyxkl", down, right).reshape(-1, kernel.numel())


def _along(size: int, out: int, kernel: int, stride: int, padding: int) -> Tensor:
    """The same along one axis: [size, out, kernel]."""
    place, place_out, tap = torch.arange(size), torch.arange(out), torch.arange(kernel)
    met = place[:, None, None] == place_out[:, None] * stride - padding + tap
    return met.float()


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 `nn.Conv2d` that is a product of matrices where maps are small.

    On maps of up to 4x4 places oneDNN's convolutions take up to three times as long, forward and backward, as the
    matrix product that they are (docs/training.md). bf16 was not measured and stays a convolution.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [n, channels, h, w] to maps [n, out channels, h, w]."""
        if not self._is_matrix(maps):
            return super().forward(maps)
        n, channels, height, width = maps.shape
        made = F.linear(maps.permute(0, 2, 3, 1).reshape(-1, channels), self.weight.flatten(1), self.bias)
        return made.view(n, height, width, self.out_channels).permute(0, 3, 1, 2)

    @staticmethod
    def _is_matrix(maps: Tensor) -> bool:
        is_small = maps.ndim == 4 and maps.shape[2] * maps.shape[3] <= SMALL_MAP
        is_wide = maps.device.type == "cpu" and maps.dtype != torch.bfloat16 and not torch.is_autocast_enabled("cpu")
        if not is_small or not is_wide or torch.compiler.is_exporting():
            return False
        return maps.shape[2:] == (1, 1) or maps.is_contiguous(memory_format=torch.channels_last)


PLAIN: dict[type[nn.Module], type[nn.Module]] = {
    Dropout: nn.Dropout,
    GlobalPool: nn.AdaptiveAvgPool2d,
    DepthwiseConv2d: nn.Conv2d,
    PointwiseConv2d: nn.Conv2d,
}


def with_plain_layers(network: nn.Module) -> nn.Module:
    """Undo `with_fast_layers`, in place: what torch's own tools (fusing, export) know."""
    for module in network.modules():
        for fast, plain in PLAIN.items():
            if type(module) is fast:
                module.__class__ = plain
    return network


def with_fast_layers(network: nn.Module) -> nn.Module:
    """Replace every plain layer of the network that has a faster twin here, in place."""
    for module in network.modules():
        if type(module) is nn.Dropout:
            module.__class__ = Dropout
        elif type(module) is nn.AdaptiveAvgPool2d and module.output_size in (1, (1, 1)):
            module.__class__ = GlobalPool
        elif type(module) is nn.Conv2d and _is_depthwise(module):
            module.__class__ = DepthwiseConv2d
        elif type(module) is nn.Conv2d and _is_pointwise(module):
            module.__class__ = PointwiseConv2d
    return network


def _is_depthwise(module: nn.Conv2d) -> bool:
    is_alone = module.groups == module.in_channels == module.out_channels > 1
    is_plain = module.dilation == (1, 1) and module.padding_mode == "zeros" and not isinstance(module.padding, str)
    return is_alone and is_plain


def _is_pointwise(module: nn.Conv2d) -> bool:
    is_whole = module.groups == 1 and module.stride == (1, 1)
    return is_whole and module.kernel_size == (1, 1) and module.padding in ((0, 0), "valid", "same")
