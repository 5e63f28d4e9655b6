"""Batch norm over the batches of all ranks (`--sync-bn`), on CPUs too, where torch's SyncBatchNorm does not run."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all ranks; its gradient is summed likewise, for each rank's loss depends on it."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:  # noqa: ANN401
        total = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def _sum(tensor: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(tensor)
    return total


class SharedNorm(nn.BatchNorm2d):
    """Batch norm whose statistics in training are those of all ranks' images [batch, channels, height, width].

    `drop` and `act` are what some of timm's norms do after it.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        """In place of `norm`, with its own parameters and statistics."""
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.drop, self.act = getattr(norm, "drop", None), getattr(norm, "act", None)
        self.train(norm.training)

    def forward(self, input: Tensor) -> Tensor:
        """The same as nn.BatchNorm2d in one process with the whole batch."""
        normed = self._normed(input) if self.training and self.track_running_stats else super().forward(input)
        for each in (self.drop, self.act):
            normed = normed if each is None else each(normed)
        return normed

    def _normed(self, input: Tensor) -> Tensor:
        values = input.float()
        shape = (1, -1, 1, 1)
        count = values.new_tensor([values.numel() / self.num_features])
        totals = _sum(torch.cat([values.sum((0, 2, 3)), count]))
        total, mean = totals[-1], totals[:-1] / totals[-1]
        centred = values - mean.view(shape)
        variance = _sum(centred.square().sum((0, 2, 3))) / total
        self._remember(mean.detach(), variance.detach() * total.detach() / (total.detach() - 1).clamp(min=1))
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        normed = centred * scale.view(shape)
        return (normed + self.bias.view(shape) if self.affine else normed).to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.num_batches_tracked is None or self.running_mean is None or self.running_var is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


def share_norms(module: nn.Module) -> int:
    """Replace each BatchNorm2d below `module` by one over all ranks, with its own parameters; how many there are."""
    found = 0
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, SharedNorm(child))
            found += 1
        else:
            found += share_norms(child)
    return found
