"""How losses become a step: autocast, backward, clipping, learning rate, averaged weights."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.config import Fit
from edgekd.data.batch import Batch
from edgekd.models.network import Network
from edgekd.objectives import Distillation, Supervised
from edgekd.training.formats import Format
from edgekd.training.schedule import one_cycle

Objective = Supervised | Distillation


@dataclass(frozen=True)
class LayerRate:
    """Parameters that learn at `scale` times the learning rate."""

    parameters: Sequence[nn.Parameter]
    scale: float


def make_optimizer(config: Fit, layers: Iterable[LayerRate]) -> torch.optim.Optimizer:
    """The optimiser over parameters that require grad; no weight decay on biases, norms and other vectors."""
    groups = []
    for layer in layers:
        trained = [each for each in layer.parameters if each.requires_grad]
        for decay, chosen in (
            (config.weight_decay or 0.0, [each for each in trained if each.ndim > 1]),
            (0.0, [each for each in trained if each.ndim <= 1]),
        ):
            if chosen:
                groups.append({"params": chosen, "weight_decay": decay, "scale": layer.scale})
    lr = config.lr or 0.0
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True, fused=True)
    return torch.optim.AdamW(groups, lr=lr, fused=True)


def _is_frozen(module: nn.Module) -> bool:
    parameters = list(module.parameters())
    return bool(parameters) and not any(each.requires_grad for each in parameters)


class Update:
    """One optimiser step per call."""

    def __init__(self, objective: Objective, optimizer: torch.optim.Optimizer, config: Fit, form: Format) -> None:
        self.objective = objective
        self.optimizer = optimizer
        self.config = config
        self.form = form
        self.device = next(objective.parameters()).device
        self.steps = 0
        # Statistics of frozen batch norms must not move either.
        self.frozen = [each for each in objective.modules() if _is_frozen(each)]
        self.average: Network | None = copy.deepcopy(objective.deployed) if config.ema else None

    @property
    def deployed(self) -> Network:
        """The network to evaluate and save: the averaged one when there is one."""
        return self.average or self.objective.deployed

    def __call__(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Take one step at `progress` (0..1) and return the detached loss parts (not synchronised)."""
        self.objective.train()
        for module in self.frozen:
            module.eval()
        share = one_cycle(progress, self.config.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = (self.config.lr or 0.0) * group["scale"] * share
        with self.form.autocast(self.device):
            parts: dict[str, Tensor] = self.objective(batch.to(self.device), progress)
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
        if self.config.clip:
            torch.nn.utils.clip_grad_norm_(self.objective.parameters(), self.config.clip)
        self.optimizer.step()
        self.steps += 1
        if self.average is not None:
            self._average()
        return {name: part.detach() for name, part in parts.items()}

    def _average(self) -> None:
        """Move the average; early on it follows faster, so that the first weights are forgotten."""
        average, current = self.average, self.objective.deployed
        if average is None:
            return
        decay = min(self.config.ema, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(current.parameters()), 1 - decay)
            for kept, new in zip(average.buffers(), current.buffers(), strict=True):
                kept.copy_(new)

    def state_dict(self) -> dict[str, Any]:
        """All a resume needs: objective, optimiser, average, counter."""
        return {
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.objective.load_state_dict(state["objective"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps = state["steps"]
        if self.average is not None and state["average"] is not None:
            self.average.load_state_dict(state["average"])
