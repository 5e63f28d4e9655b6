"""How losses become a step: autocast, backward, accumulation, ranks, clipping, learning rate, averaged weights."""

import copy
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from edgekd.compute.distributed import Agreement, everyone, noticing_losses
from edgekd.compute.formats import Format
from edgekd.config import Fit
from edgekd.data.batch import Batch
from edgekd.images.views.counter import random_bits
from edgekd.models.build import ends_of, undecayed
from edgekd.models.network import Network
from edgekd.objectives import LABEL_PART, Distillation, Supervised, label_weight
from edgekd.training.muon import Muon, is_matrix
from edgekd.training.schedule import one_cycle, size_share

Objective = Supervised | Distillation


@dataclass(frozen=True)
class LayerRate:
    """Parameters that learn at `scale` times the learning rate."""

    parameters: Sequence[nn.Parameter]
    scale: float


def make_optimizer(
    config: Fit, layers: Iterable[LayerRate], backbone: nn.Module | None = None
) -> torch.optim.Optimizer:
    """The optimiser over parameters that require grad; no weight decay on biases, norms, embeddings of positions.

    Muon is for hidden layers: the ends of the `backbone`, and what is no matrix, learn by SGD in its place.
    """
    is_muon = config.optimizer == "muon"
    apart = {id(each) for each in (undecayed(backbone) if backbone is not None else ())}
    if is_muon and backbone is not None:
        apart |= {id(each) for each in ends_of(backbone)}

    def is_hidden(weight: nn.Parameter) -> bool:
        return (is_matrix(weight) if is_muon else weight.ndim > 1) and id(weight) not in apart

    groups = []
    for layer in layers:
        trained = [each for each in layer.parameters if each.requires_grad]
        for hidden, decay in ((True, config.weight_decay or 0.0), (False, 0.0)):
            chosen = [each for each in trained if is_hidden(each) == hidden]
            own = {"is_hidden": hidden} if is_muon else {}
            if chosen:
                groups.append({"params": chosen, "weight_decay": decay, "scale": layer.scale} | own)
    lr = config.lr or 0.0
    if is_muon:
        return Muon(groups, lr=lr)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True, fused=True)
    return torch.optim.AdamW(groups, lr=lr, fused=True)


def _is_frozen(module: nn.Module) -> bool:
    parameters = list(module.parameters())
    return bool(parameters) and not any(each.requires_grad for each in parameters)


def _unshared(engine: nn.Module) -> AbstractContextManager[None]:
    """The context in which gradients stay with their rank."""
    if not isinstance(engine, DistributedDataParallel):
        return nullcontext()
    context: AbstractContextManager[None] = engine.no_sync()
    return context


class Update:
    """One optimiser step per call, of all ranks together.

    Ranks and pieces see parts of one batch, so each loss part, a mean over its own images or labels, counts by their
    share of the whole: the step is that of the whole batch at once (but for batch norm and dropout).
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        config: Fit,
        form: Format,
        engine: nn.Module | None = None,
    ) -> None:
        """`engine` is the objective as it is called in training (Ranks.engine)."""
        self.objective = objective
        self.engine = objective if engine is None else engine
        self.ranks = everyone()
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
        """Take one step at `progress` (0..1) and return the detached loss parts (not synchronised).

        Over all ranks the mean of a part is its value for the whole batch. Raises RankLost.
        """
        whole = self._whole(batch)
        self.objective.train()
        for module in self.frozen:
            module.eval()
        self._resize(progress)
        share = one_cycle(progress, self.config.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = (self.config.lr or 0.0) * group["scale"] * share
        self.optimizer.zero_grad(set_to_none=True)
        losses: dict[str, Tensor] = {}
        pieces = batch.pieces(self.config.accumulate)
        for number, piece in enumerate(pieces):
            parts = self._learn(piece, progress, whole, is_last=number == len(pieces) - 1)
            losses = {name: part + losses[name] if name in losses else part for name, part in parts.items()}
        if self.config.clip:
            torch.nn.utils.clip_grad_norm_(self.objective.parameters(), self.config.clip)
        self.optimizer.step()
        self.steps += 1
        if self.average is not None:
            self._average()
        return losses

    def _resize(self, progress: float) -> None:
        first = self.config.progressive or 1.0
        network = self.objective.deployed
        network.training_side = None if first == 1 else round(network.spec.input_size * size_share(progress, first))

    def _whole(self, batch: Batch) -> Agreement | None:
        """Images and labels of the step's batch in all ranks and pieces, on their way; None when this is all of it."""
        if self.ranks.world == 1 and self.config.accumulate == 1:
            return None
        if self.ranks.world > 1:
            self._seed()
        return self.ranks.add([len(batch), label_weight(batch)])

    def _seed(self) -> None:
        """Dropout from (seed, step, rank): each rank has masks of its own, and no state that a resume would need."""
        word = int(random_bits(self.config.seed, self.steps, np.array([self.ranks.rank]), 1)[0, 0] >> np.uint64(1))
        # torch.manual_seed takes 0.4 ms, and without CUDA keeps a record of every call.
        torch.default_generator.manual_seed(word)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(word)

    def _learn(self, piece: Batch, progress: float, whole: Agreement | None, *, is_last: bool) -> dict[str, Tensor]:
        """Add the gradients of a piece; ranks share theirs with the last one. The detached loss parts."""
        with _unshared(self.engine) if not is_last else nullcontext(), noticing_losses():
            with self.form.autocast(self.device):
                parts: dict[str, Tensor] = self.engine(piece.to(self.device), progress)
            if whole is not None:
                images, labels = whole.wait()
                by_label = max(label_weight(piece), 1) / max(labels, 1) * self.ranks.world
                by_image = len(piece) / images * self.ranks.world
                parts = {name: part * (by_label if name == LABEL_PART else by_image) for name, part in parts.items()}
            torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
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
