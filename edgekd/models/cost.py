"""What a network costs: parameters counted three ways, and multiply-adds for one image."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from edgekd.errors import CheckpointError
from edgekd.models.build import rebuild
from edgekd.models.network import Network, Spec

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@dataclass(frozen=True)
class Cost:
    """A network's size: trainable parameters, the same with BN folded or with its statistics, MACs per image."""

    parameters: int
    folded_parameters: int
    stored_parameters: int
    macs: int


def parameters(network: nn.Module) -> int:
    """Trainable parameters."""
    return sum(each.numel() for each in network.parameters() if each.requires_grad)


def parameters_with_statistics(network: nn.Module) -> int:
    """All parameters and the running means and variances of batch norm: what a checkpoint stores."""
    norms = [each for each in network.modules() if isinstance(each, NORMS)]
    statistics = (each for norm in norms for each in (norm.running_mean, norm.running_var))
    return sum(each.numel() for each in (*network.parameters(), *statistics) if each is not None)


def folded_parameters(network: Network) -> int:
    """Parameters once every batch norm that directly follows a convolution or linear layer is folded into it."""
    return measure(network.spec).folded_parameters


def macs(network: Network) -> int:
    """Multiply-adds of the backbone for one image (convolutions, matrix products, attention)."""
    return measure(network.spec).macs


def measure(spec: Spec) -> Cost:
    """The cost of the network this Spec builds, counted on tensors without data where the network can."""
    try:
        return _measure(spec, "meta")
    except (CheckpointError, NotImplementedError, RuntimeError):
        return _measure(spec, "cpu")


@torch.no_grad()
def _measure(spec: Spec, device: str) -> Cost:
    with torch.device(device):
        backbone = rebuild(spec).backbone.eval()
        image = torch.zeros(1, spec.channels, spec.input_size, spec.input_size)
    folds = _Folds(backbone)
    with FlopCounterMode(display=False) as counter, folds:
        backbone(image)
    everything = sum(each.numel() for each in backbone.parameters())
    return Cost(
        parameters=parameters(backbone),
        folded_parameters=everything + folds.change,
        stored_parameters=parameters_with_statistics(backbone),
        macs=counter.get_total_flops() // 2,
    )


class _Folds(AbstractContextManager["_Folds"]):
    """Watches one forward pass for batch norms fed directly by a convolution; `change`: parameters by folding."""

    def __init__(self, backbone: nn.Module) -> None:
        self.change = 0
        self._made: dict[tuple[int, int], nn.Module] = {}
        self._kept: list[Tensor] = []
        self._hooks = [
            each.register_forward_pre_hook(self._norm)
            if isinstance(each, NORMS)
            else each.register_forward_hook(self._layer)
            for each in backbone.modules()
            if isinstance(each, (*NORMS, nn.Conv2d, nn.Linear))
        ]

    def _layer(self, layer: nn.Module, _: Any, output: Tensor) -> None:  # noqa: ANN401
        self._kept.append(output)
        self._made[id(output), output._version] = layer

    def _norm(self, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        layer = self._made.pop((id(inputs[0]), inputs[0]._version), None)
        if layer is not None:
            self.change -= sum(each.numel() for each in norm.parameters())
            self.change += norm.num_features if layer.bias is None else 0

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()
