"""Muon: steps of equal length in all directions of a weight matrix, for hidden layers.

After Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024). PyTorch's and timm's own compute
in bf16, which takes a processor without bf16 instructions a third of the whole step; this one computes in fp32.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic a*x + b*x^3 + c*x^5, steep at 0: five rounds bring singular values above 0.01 to 0.7-1.2."""
ROUNDS = 5


PLAIN_RATE = 10.0
"""Learning rate of the layers that learn by SGD, in Muon's."""


class Muon(torch.optim.Optimizer):
    """SGD with Nesterov momentum whose steps are made orthogonal, filters of a convolution flattened to rows.

    A step is scaled to the size of a typical AdamW step (RMS 0.2 * lr, Liu et al. 2025), weight decay is AdamW's.
    Groups with `is_hidden` False learn by plain Nesterov SGD at `PLAIN_RATE` times the rate.
    """

    def __init__(
        self,
        params: "Iterable[nn.Parameter] | Iterable[dict[str, Any]]",
        lr: float = 0.02,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "is_hidden": True}
        super().__init__(params, defaults)

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
                if group["is_hidden"]:
                    self._turn(weight, weight.grad, state["momentum"], group)
                else:
                    sum_of_gradients = state["momentum"].mul_(group["momentum"]).add_(weight.grad)
                    ahead = weight.grad.add(sum_of_gradients, alpha=group["momentum"])
                    weight.sub_(ahead, alpha=PLAIN_RATE * group["lr"])

    @staticmethod
    def _turn(weight: Tensor, gradient: Tensor, momentum: Tensor, group: dict[str, Any]) -> None:
        momentum.lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(momentum, group["momentum"]).flatten(1)
        direction = orthogonal(ahead).mul_(0.2 * max(ahead.shape) ** 0.5)
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.sub_(direction.view_as(weight), alpha=group["lr"])


def is_matrix(weight: Tensor) -> bool:
    """Whether a weight maps several inputs to several outputs: not a vector, an embedding or a depthwise filter."""
    return weight.ndim in (2, 4) and min(weight.shape[:2]) > 1


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix [rows, columns] with its singular values brought near 1, by Newton-Schulz rounds."""
    first, second, third = COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp_min(1e-7)
    for _ in range(ROUNDS):
        square = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(square, square, square, beta=second, alpha=third), wide, beta=first)
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T
