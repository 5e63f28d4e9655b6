import copy

import pytest
import torch

from edgekd.compute.formats import Format
from edgekd.data.batch import Batch
from edgekd.methods.kd import Kd, Options, kd_loss
from edgekd.models.network import Network
from edgekd.objectives.mutual import Mutual, pairs_of
from edgekd.objectives.objective import weighted_sum
from edgekd.training.settings import Settled
from edgekd.training.update import UPDATES, LayerRate, make_optimizer
from tests.training.conftest import make_network, make_split

FIT = Settled(optimizer="sgd", lr=0.1, weight_decay=0.0, warmup=0.0, progressive=1.0)


@pytest.fixture
def batch() -> Batch:
    split = make_split()
    return Batch(torch.from_numpy(split.pixels.gather(split.index)), torch.from_numpy(split.targets), split.index, 0)


def three() -> dict[str, Network]:
    return {name: make_network(seed).eval() for seed, name in enumerate(("", "peers/a", "peers/b"))}


def mutual(networks: dict[str, Network], alpha: float | None = None) -> Mutual:
    return Mutual(networks, {pair: Kd(Options(1.0)) for pair in pairs_of(networks)}, alpha)


def test_each_learns_from_labels_and_from_the_mean_over_the_others(batch: Batch) -> None:
    networks = three()
    parts = mutual(networks, 0.25)(batch, 0.0)
    logits = {name: network(batch.canvas) for name, network in networks.items()}
    assert set(parts) == {"kd", "ce", "peers/a/kd", "peers/a/ce", "peers/b/kd", "peers/b/ce"}
    expected = (kd_loss(logits["peers/a"], logits[""], 1) + kd_loss(logits["peers/a"], logits["peers/b"], 1)) / 2
    assert parts["peers/a/kd"].value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert (parts["peers/a/kd"].weight, parts["ce"].weight) == (0.25, 0.75)


def test_the_loss_of_one_does_not_reach_the_others(batch: Batch) -> None:
    networks = three()
    weighted_sum(mutual(networks)(batch, 0.0, "peers/a")).backward()
    reached = {name: any(each.grad is not None for each in net.parameters()) for name, net in networks.items()}
    assert reached == {"": False, "peers/a": True, "peers/b": False}


@pytest.mark.parametrize("kind", UPDATES)
def test_every_network_steps_and_resumes(batch: Batch, kind: str) -> None:
    networks = three()
    objective = mutual(networks)

    def an_update(learning: Mutual) -> object:
        layers = [LayerRate(list(learning.parameters()), 1.0)]
        return UPDATES[kind](learning, make_optimizer(FIT, layers), FIT, Format())

    update = an_update(objective)
    start = [each.detach().clone() for each in objective.parameters()]
    losses = update(batch, 0.0)
    assert all(not torch.equal(a, b) for a, b in zip(start, objective.parameters(), strict=True) if a.ndim > 1)
    assert ("peers/a/loss" in losses) == (kind == "alternating") and set(update.kept) == set(networks)
    again = mutual(copy.deepcopy(three()))
    other = an_update(again)
    other.load_state_dict(copy.deepcopy(update.state_dict()))
    for each in (update, other):
        torch.manual_seed(5)
        each(batch, 0.5)
    assert all(torch.equal(a, b) for a, b in zip(objective.parameters(), again.parameters(), strict=True))


def test_in_turn_the_second_sees_what_the_first_has_become(batch: Batch) -> None:
    def trained(kind: str) -> list[Network]:
        torch.manual_seed(0)
        networks = {name: make_network(seed) for seed, name in enumerate(("", "peers/a"))}
        for network in networks.values():
            network.backbone[1], network.backbone[5] = torch.nn.Identity(), torch.nn.Identity()
        objective = mutual(networks, 1.0)
        layers = [LayerRate(list(objective.parameters()), 1.0)]
        UPDATES[kind](objective, make_optimizer(FIT, layers), FIT, Format())(batch, 0.5)
        return list(networks.values())

    first, second = zip(trained("simultaneous"), trained("alternating"), strict=True)
    assert torch.equal(*(each.backbone[6].weight for each in first))
    assert not torch.equal(*(each.backbone[6].weight for each in second))
