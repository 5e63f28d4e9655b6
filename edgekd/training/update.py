"""How losses become a step: autocast, backward, accumulation, ranks, clipping, learning rate, averaged weights."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from edgekd.compute.distributed import Agreement, everyone, noticing_losses
from edgekd.compute.formats import Format
from edgekd.data.batch import Batch
from edgekd.images.views.counter import random_bits
from edgekd.methods.contract import Over, Part
from edgekd.models.build import ends_of, undecayed
from edgekd.models.network import Network
from edgekd.objectives.objective import Objective, known_labels, weighted_sum
from edgekd.training.muon import Muon, is_matrix
from edgekd.training.schedule import one_cycle, size_share
from edgekd.training.settings import Settled

LOSS = "loss"
"""The weighted sum of all parts, beside the parts in their own scale."""


@dataclass(frozen=True)
class LayerRate:
    """Parameters that learn at `scale` times the learning rate."""

    parameters: Sequence[nn.Parameter]
    scale: float


def make_optimizer(
    config: Settled, layers: Iterable[LayerRate], backbones: Sequence[nn.Module] = ()
) -> torch.optim.Optimizer:
    """The optimiser over parameters that require grad; no weight decay on biases, norms, embeddings of positions.

    Muon is for hidden layers: the ends of the `backbones`, and what is no matrix, learn by SGD in its place.
    """
    is_muon = config.optimizer == "muon"
    apart = {id(each) for backbone in backbones for each in undecayed(backbone)}
    if is_muon:
        apart |= {id(each) for backbone in backbones for each in ends_of(backbone)}

    def is_hidden(weight: nn.Parameter) -> bool:
        return (is_matrix(weight) if is_muon else weight.ndim > 1) and id(weight) not in apart

    groups = []
    for layer in layers:
        trained = [each for each in layer.parameters if each.requires_grad]
        for hidden, decay in ((True, config.weight_decay), (False, 0.0)):
            chosen = [each for each in trained if is_hidden(each) == hidden]
            own = {"is_hidden": hidden} if is_muon else {}
            if chosen:
                groups.append({"params": chosen, "weight_decay": decay, "scale": layer.scale} | own)
    lr = config.lr
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
    """One step of every trained network per call, of all ranks together, from one joint loss.

    Ranks and pieces see parts of one batch, so each loss part, a mean over its own images or labels, counts by their
    share of the whole: the step is that of the whole batch at once (but for batch norm, dropout and relational parts).
    """

    is_partial = False
    """Whether a backward pass reaches some of the parameters only."""

    def __init__(
        self,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        config: Settled,
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
        self.scaler = form.scaler(self.device)
        self.steps = 0
        # Statistics of frozen batch norms must not move either.
        self.frozen = [each for each in objective.modules() if _is_frozen(each)]
        self.averages = (
            {name: copy.deepcopy(network) for name, network in objective.networks.items()} if config.ema else {}
        )

    @property
    def kept(self) -> Mapping[str, Network]:
        """The networks to save, "" the run's own: the averaged ones when there are such."""
        return self.averages or self.objective.networks

    @property
    def deployed(self) -> Network:
        """The network to evaluate: the objective's primary one, averaged when averages are kept."""
        return self.averages.get("", self.objective.primary)

    def __call__(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Take one step at `progress` (0..1); the detached parts in their own scale and `loss` (not synchronised).

        Over all ranks the mean of a part is its value for the whole batch. Raises RankLost.
        """
        whole = self._whole(batch)
        self.objective.train()
        for module in self.frozen:
            module.eval()
        self._resize(progress)
        share = one_cycle(progress, self.config.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * group["scale"] * share
        losses: dict[str, Tensor] = {}
        for turn in self._turns():
            losses |= self._step(batch, progress, whole, turn)
        self.steps += 1
        if self.averages:
            self._average()
        return losses

    def _turns(self) -> Sequence[str | None]:
        """The networks that step one after the other; None: all at once."""
        return (None,)

    def _step(self, batch: Batch, progress: float, whole: Agreement | None, turn: str | None) -> dict[str, Tensor]:
        """One optimiser step, in pieces where requested."""
        self.optimizer.zero_grad(set_to_none=True)
        losses: dict[str, Tensor] = {}
        pieces = batch.pieces(self.config.accumulate)
        for number, piece in enumerate(pieces):
            parts = self._learn(piece, progress, whole, turn, is_last=number == len(pieces) - 1)
            losses = {name: part + losses[name] if name in losses else part for name, part in parts.items()}
        if self.config.clip:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.objective.parameters(), self.config.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return losses

    def _resize(self, progress: float) -> None:
        first = self.config.progressive
        for network in self.objective.networks.values():
            side = round(network.spec.input_size * size_share(progress, first))
            network.training_side = None if first == 1 else side

    def _whole(self, batch: Batch) -> Agreement | None:
        """Images and labels of the step's batch in all ranks and pieces, on their way; None when this is all of it."""
        if self.ranks.world == 1 and self.config.accumulate == 1:
            return None
        if self.ranks.world > 1:
            self._seed()
        return self.ranks.add([len(batch), known_labels(batch)])

    def _seed(self) -> None:
        """Dropout from (seed, step, rank): each rank has masks of its own, and no state that a resume would need."""
        word = int(random_bits(self.config.seed, self.steps, np.array([self.ranks.rank]), 1)[0, 0] >> np.uint64(1))
        # torch.manual_seed takes 0.4 ms, and without CUDA keeps a record of every call.
        torch.default_generator.manual_seed(word)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(word)

    def _learn(
        self, piece: Batch, progress: float, whole: Agreement | None, turn: str | None, *, is_last: bool
    ) -> dict[str, Tensor]:
        """Add the gradients of a piece; ranks share theirs with the last one. The detached loss parts and `loss`."""
        with _unshared(self.engine) if not is_last else nullcontext(), noticing_losses():
            with self.form.autocast(self.device):
                parts: dict[str, Part] = self.engine(piece.to(self.device), progress, turn)
            if whole is not None:
                shares = self._shares(piece, whole)
                parts = {name: replace(part, value=part.value * shares[part.over]) for name, part in parts.items()}
            loss = weighted_sum(parts)
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        losses = {name: part.value.detach() for name, part in parts.items()}
        return losses | {f"{turn or ''}/{LOSS}".lstrip("/"): loss.detach()}

    def _shares(self, piece: Batch, whole: Agreement) -> dict[Over, float]:
        """What a mean over this piece counts for in the mean over the whole batch."""
        images, labels = whole.wait()
        by_image = len(piece) / images * self.ranks.world
        by_label = max(known_labels(piece), 1) / max(labels, 1) * self.ranks.world
        return {"images": by_image, "labels": by_label, "batch": by_image}

    def _average(self) -> None:
        """Move the averages; early on they follow faster, so that the first weights are forgotten."""
        decay = min(self.config.ema, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            for name, average in self.averages.items():
                current = self.objective.networks[name]
                torch._foreach_lerp_(list(average.parameters()), list(current.parameters()), 1 - decay)
                for kept, new in zip(average.buffers(), current.buffers(), strict=True):
                    kept.copy_(new)

    def state_dict(self) -> dict[str, Any]:
        """All a resume needs: objective, optimiser, averages, counter, scale of the loss."""
        return {
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "averages": {name: average.state_dict() for name, average in self.averages.items()},
            "steps": self.steps,
            "scaler": self.scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.objective.load_state_dict(state["objective"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps = state["steps"]
        self.scaler.load_state_dict(state["scaler"])
        for name, average in self.averages.items():
            average.load_state_dict(state["averages"][name])


class Alternating(Update):
    """The networks step one after the other on the same batch; each sees what the earlier ones have become."""

    is_partial = True

    def _turns(self) -> Sequence[str | None]:
        return tuple(self.objective.networks)


UPDATES: dict[str, type[Update]] = {"simultaneous": Update, "alternating": Alternating}
