"""What is called in training: the objective, shared among ranks where there are several."""

import torch
from torch import nn

from edgekd.compute.distributed import everyone
from edgekd.compute.formats import Format, measure_step
from edgekd.compute.norms import share_norms
from edgekd.data.batch import Batch
from edgekd.objectives.objective import Objective
from edgekd.report import Reporter
from edgekd.training.settings import Settled, training_step


def engine_of(
    objective: Objective, batch: Batch, form: Format, config: Settled, report: Reporter, *, has_unused: bool
) -> nn.Module:
    """What is called in training: the objective, shared among ranks where there are several."""
    ranks = everyone()
    if ranks.world == 1:
        return objective
    unused: list[bool] = []
    plain_step = training_step(objective)

    def step(each: Batch) -> torch.Tensor:
        loss = plain_step(each)
        unused.append(any(each.requires_grad and each.grad is None for each in objective.parameters()))
        return loss

    measure_step(form, objective, batch.first(8), step)
    if config.sync_bn and not share_norms(objective):
        report.warn(f"--sync-bn: {objective.primary.spec.name} has no two-dimensional batch norm to share")
    return ranks.engine(objective, has_unused=has_unused or any(unused))
