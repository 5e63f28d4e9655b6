"""Muon: steps of equal length in all directions of a weight matrix, for hidden layers.

After Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024). PyTorch's and timm's own compute
in bf16, which takes a processor without bf16 instructions longer than the network itself; this one computes in fp32.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic a*x + b*x^3 + c*x^5, steep at 0: five rounds bring singular values above 0.01 to 0.7-1.2."""
ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """SGD with Nesterov momentum whose steps are made orthogonal, filters of a convolution flattened to rows.

    A step is scaled to the size of a typical AdamW step (RMS 0.2 * lr, Liu et al. 2025), weight decay is AdamW's.
    """

    def __init__(
        self,
        params: "Iterable[nn.Parameter] | Iterable[dict[str, Any]]",
        lr: float = 0.02,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(momentum, group["momentum"]).flatten(1)
                direction = orthogonal(ahead).mul_(0.2 * max(ahead.shape) ** 0.5)
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(direction.view_as(weight), alpha=group["lr"])


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix [rows, columns] with its singular values brought near 1, by Newton-Schulz rounds."""
    first, second, third = COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp_min(1e-7)
    for _ in range(ROUNDS):
        square = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(square, square, square, beta=second, alpha=third), wide, beta=first)
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T
