"""One step of every method that compares no images, in as many processes as torchrun started: `... FOLDER PIECES`."""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from edgekd.compute.distributed import everyone
from edgekd.compute.formats import Format
from edgekd.data.batch import Batch
from edgekd.methods import METHODS
from edgekd.methods.loading import join, load_method
from edgekd.methods.sides import side_of
from edgekd.objectives.distillation import Distillation
from edgekd.teachers.teacher import Live
from edgekd.training.update import LayerRate, Update, make_optimizer
from tests.methods.made_up import CLASSES, batch, network
from tests.training.test_update import SETTLED


def images(rank: int, world: int) -> Batch:
    """This rank's share of ten images, one of them without a label, all of them mixed."""
    pixels = torch.randint(256, (2, 10, 8, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    whole = batch(10)
    target = torch.where(torch.arange(10) == 3, -1, whole.target)
    share = torch.linspace(0.5, 1, 10)
    mine = slice(rank, None, world)
    return replace(
        whole,
        canvas=pixels[0, mine],
        strong=pixels[1, mine],
        target=target[mine],
        index=whole.index[mine],
        partner_target=((whole.target + 1) % CLASSES)[mine],
        share=share[mine],
    )


def step(name: str, pieces: int) -> dict[str, torch.Tensor] | None:
    """The student and the method after a step; None for a method that compares images."""
    torch.manual_seed(0)
    method, student, teacher = load_method(name, (), {}), network(4, token=True), Live(network(6))
    if method.is_relational:
        return None
    join(name, method, side_of(student), teacher.side)
    for module in method.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            # what a batch norm sees is not the whole batch; frozen, it sees none
            module.requires_grad_(False)
    objective, ranks = Distillation(student, teacher, method), everyone()
    config = replace(SETTLED, accumulate=pieces, optimizer="sgd", lr=0.01, warmup=0.0)
    optimizer = make_optimizer(config, [LayerRate(list(objective.parameters()), 1.0)])
    engine = ranks.engine(objective, has_unused=True) if ranks.world > 1 else None
    Update(objective, optimizer, config, Format(), engine)(images(ranks.rank, ranks.world), 0.5)
    return objective.state_dict()


if __name__ == "__main__":
    found = {name: step(name, int(sys.argv[2])) for name in METHODS}
    if everyone().is_first:
        torch.save({name: state for name, state in found.items() if state is not None}, Path(sys.argv[1]))
