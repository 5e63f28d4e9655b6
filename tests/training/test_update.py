import copy
import io
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from edgekd.compute.formats import Format
from edgekd.data.batch import Batch
from edgekd.models.network import Network
from edgekd.objectives.supervised import Supervised
from edgekd.training.settings import Settled
from edgekd.training.update import LayerRate, Update, make_optimizer

SETTLED = Settled(optimizer="sgd", lr=0.1, weight_decay=0.01, warmup=0.0, progressive=1.0)


def an_update(network: Network, form: Format | None = None, **changes: object) -> Update:
    config = Settled(**{**SETTLED.__dict__, **changes})
    form = form or Format()
    form.prepare(network)
    return Update(
        Supervised(network), make_optimizer(config, [LayerRate(list(network.parameters()), 1.0)]), config, form
    )


def test_vectors_have_no_weight_decay(network: Network) -> None:
    optimizer = make_optimizer(SETTLED, [LayerRate(list(network.parameters()), 1.0)])
    decays = {each.ndim > 1: group["weight_decay"] for group in optimizer.param_groups for each in group["params"]}
    assert decays == {True: 0.01, False: 0.0}


def test_frozen_parameters_are_left_out(network: Network) -> None:
    network.backbone[0].requires_grad_(False)
    optimizer = make_optimizer(SETTLED, [LayerRate(list(network.parameters()), 1.0)])
    assert all(each.requires_grad for group in optimizer.param_groups for each in group["params"])


def test_layers_learn_at_their_own_rates(network: Network, batch: Batch) -> None:
    layers = [
        LayerRate(list(network.backbone[0].parameters()), 0.0),
        LayerRate(list(network.backbone[6].parameters()), 1.0),
    ]
    before = [network.backbone[0].weight.clone(), network.backbone[6].weight.clone()]
    Update(Supervised(network), make_optimizer(SETTLED, layers), SETTLED, Format())(batch, 0.5)
    assert torch.equal(before[0], network.backbone[0].weight) and not torch.equal(before[1], network.backbone[6].weight)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
def test_steps_lower_the_loss(network: Network, batch: Batch, optimizer: str) -> None:
    update = an_update(network, optimizer=optimizer, lr=0.05)
    losses = [float(update(batch, 0.1)["ce"]) for _ in range(40)]
    assert losses[-1] < 0.6 * losses[0]


def test_the_gradient_is_clipped(network: Network, batch: Batch) -> None:
    update = an_update(network, clip=1e-8, weight_decay=0.0)
    before = network.backbone[6].weight.clone()
    update(batch, 0.0)
    assert (network.backbone[6].weight - before).abs().max() < 1e-6


def test_without_averaging_the_network_itself_is_deployed(network: Network) -> None:
    assert an_update(network).deployed is network


def test_averaged_weights_lag_behind(network: Network, batch: Batch) -> None:
    update = an_update(network, ema=0.99)
    start = network.backbone[6].weight.clone()
    for _ in range(5):
        update(batch, 0.0)
    moved = (network.backbone[6].weight - start).norm()
    lagged = (update.deployed.backbone[6].weight - start).norm()
    assert 0 < lagged < moved


def without_chance(network: Network) -> Network:
    """No batch norm and no dropout: every image counts for itself."""
    network.backbone[1], network.backbone[5] = torch.nn.Identity(), torch.nn.Identity()
    return network


def mixed(batch: Batch) -> Batch:
    return replace(batch, partner_target=batch.target.roll(5), share=torch.linspace(0.1, 1, len(batch)))


def partly_labelled(batch: Batch) -> Batch:
    target = batch.target.clone()
    target[3:14] = -1
    return replace(batch, target=target)


@pytest.mark.parametrize("pieces", [2, 5, 24, 100])
@pytest.mark.parametrize("change", [lambda batch: batch, partly_labelled, lambda batch: mixed(partly_labelled(batch))])
def test_a_step_in_pieces_is_the_step_of_the_whole(
    network: Network, batch: Batch, pieces: int, change: Callable[[Batch], Batch]
) -> None:
    whole, cut = (without_chance(copy.deepcopy(network)) for _ in range(2))
    losses = [an_update(whole)(change(batch), 0.5), an_update(cut, accumulate=pieces)(change(batch), 0.5)]
    assert losses[0]["ce"].item() == pytest.approx(losses[1]["ce"].item(), rel=1e-5)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(whole.parameters(), cut.parameters(), strict=True))


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp8"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
def test_few_bits_learn_nearly_the_same(network: Network, batch: Batch, precision: str, optimizer: str) -> None:
    twin = copy.deepcopy(without_chance(network))
    exact = an_update(twin, optimizer=optimizer, clip=1.0, lr=0.01)
    coarse = an_update(network, Format(precision), optimizer=optimizer, clip=1.0, lr=0.01)  # type: ignore[arg-type]
    for _ in range(10):
        losses = [float(each(batch, 0.1)["ce"]) for each in (exact, coarse)]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert all(each.dtype == torch.float32 for each in network.state_dict().values() if each.is_floating_point())
    assert any(not torch.equal(a, b) for a, b in zip(network.parameters(), twin.parameters(), strict=True))


def test_a_step_that_overflows_in_fp16_is_left_out_and_the_scale_halved(network: Network, batch: Batch) -> None:
    update = an_update(without_chance(network), Format("fp16"))
    before, scale = copy.deepcopy(network.state_dict()), update.scaler.get_scale()
    update.scaler.load_state_dict(update.scaler.state_dict() | {"scale": 2.0**40})
    update(batch, 0.5)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert update.scaler.get_scale() == 2.0**39
    update.scaler.load_state_dict(update.scaler.state_dict() | {"scale": scale})
    update(batch, 0.5)
    assert not torch.equal(network.backbone[6].weight, before["backbone.6.weight"])


@pytest.mark.parametrize("precision", ["fp32", "fp16", "fp8"])
def test_a_restored_update_goes_on_exactly(network: Network, batch: Batch, precision: str) -> None:
    update = an_update(network, Format(precision), optimizer="adamw", ema=0.9)  # type: ignore[arg-type]
    update(batch, 0.0)
    state = torch.load(saved(update), weights_only=True)
    rng = torch.get_rng_state()
    update(batch, 0.5)
    expected = network.backbone[6].weight.clone()
    update.load_state_dict(state)
    torch.set_rng_state(rng)
    update(batch, 0.5)
    assert torch.equal(network.backbone[6].weight, expected)


def saved(update: Update) -> io.BytesIO:
    stream = io.BytesIO()
    torch.save(update.state_dict(), stream)
    stream.seek(0)
    return stream
