import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from timm.layers import Attention

from edgekd.config import Machine
from edgekd.data.batch import Batch
from edgekd.models.network import Network
from edgekd.report import Silent
from edgekd.training.formats import Format, choose_format, choose_threads, device_of, measure_step


def step_of(network: Network):  # noqa: ANN201
    def step(batch: Batch) -> torch.Tensor:
        loss = network(batch.canvas).float().logsumexp(1).mean()
        loss.backward()
        return loss.detach()

    return step


def test_a_trial_leaves_the_network_as_it_was(network: Network, batch: Batch) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    rng = torch.get_rng_state()
    measure_step(Format("bf16", "channels-first"), network, batch, step_of(network))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(rng, torch.get_rng_state()) and all(each.grad is None for each in network.parameters())


def test_what_is_asked_for_is_not_measured(network: Network, batch: Batch) -> None:
    report = Silent()
    config = Machine(precision="bf16", memory_format="channels-first")
    assert choose_format(config, network, batch, step_of(network), report) == Format("bf16", "channels-first")
    assert report.notes == []


def test_an_open_format_is_measured_and_told(network: Network, batch: Batch) -> None:
    report = Silent()
    form = choose_format(Machine(precision="fp32"), network, batch, step_of(network), report)
    assert form.precision == "fp32" and "images per second" in report.notes[0]


def test_a_format_that_computes_something_else_is_not_taken(network: Network, batch: Batch) -> None:
    def step(each: Batch) -> torch.Tensor:
        wrong = torch.is_autocast_enabled("cpu")
        return network(each.canvas).detach().sum().float() * 0 + (100.0 if wrong else 1.0)

    config = Machine(memory_format="channels-last")
    assert choose_format(config, network, batch, step, Silent()).precision == "fp32"


@pytest.mark.parametrize("layout", ["channels-first", "channels-last"])
def test_the_layout_does_not_change_the_result(network: Network, batch: Batch, layout: str) -> None:
    network.eval()
    expected = network(batch.canvas)
    Format("fp32", layout).apply(network)  # type: ignore[arg-type]
    assert torch.allclose(network(batch.canvas), expected, atol=1e-5)
    assert network.prepare(batch.canvas).is_contiguous() == (layout == "channels-first")


def test_attention_in_steps_is_the_fused_one(network: Network) -> None:
    attention = Attention(16, num_heads=2)
    network.backbone = attention
    tokens = torch.randn(3, 5, 16)
    attention.fused_attn = True
    expected = attention(tokens)
    Format().apply(network)
    assert not attention.fused_attn
    assert torch.allclose(attention(tokens), expected, atol=1e-6)


def test_threads_are_set() -> None:
    before = torch.get_num_threads()
    device_of(Machine(threads=1))
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)


@pytest.fixture
def eight_threads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path))
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("eight_threads")
@pytest.mark.parametrize(
    ("milliseconds", "best"),
    [({8: 9, 4: 6, 2: 3, 1: 6}, 2), ({8: 5, 4: 5, 2: 1, 1: 1}, 8), ({8: 9, 4: 6, 2: 4, 1: 2}, 1)],
)
def test_fewer_threads_are_taken_while_they_are_faster(
    network: Network, batch: Batch, milliseconds: dict[int, int], best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def step(each: Batch) -> torch.Tensor:
        calls.append(torch.get_num_threads())
        time.sleep(milliseconds[calls[-1]] / 1000)
        return torch.tensor(0.0)

    monkeypatch.setattr("edgekd.training.formats.STEADY", 3.0)
    report = Silent()
    assert choose_threads(Format(), network, batch, step, report) == torch.get_num_threads() == best
    assert report.notes == ([f"threads: {best} of 8 (faster in a trial)"] if best < 8 else [])
    assert set(calls) == set(milliseconds) - ({1, 2} if best == 8 else set())
    # remembered
    calls.clear()
    torch.set_num_threads(8)
    assert choose_threads(Format(), network, batch, step, report) == torch.get_num_threads() == best
    assert not calls


@pytest.mark.usefixtures("eight_threads")
def test_one_slow_round_is_enough_to_stay_with_all_threads(network: Network, batch: Batch) -> None:
    calls = []

    def step(each: Batch) -> torch.Tensor:
        calls.append(torch.get_num_threads())
        time.sleep(0.002 if calls[-1] == 4 and calls.count(4) <= 8 else 0.006)
        return torch.tensor(0.0)

    assert choose_threads(Format(), network, batch, step, Silent()) == 8
    assert 8 < calls.count(4) <= 16


@pytest.mark.usefixtures("eight_threads")
def test_on_a_busy_machine_all_threads_are_taken(network: Network, batch: Batch) -> None:
    calls = []

    def step(each: Batch) -> torch.Tensor:
        calls.append(torch.get_num_threads())
        slower = 3 if calls.count(4) > 8 else 1
        time.sleep(slower * (0.002 if calls[-1] == 4 else 0.006))
        return torch.tensor(0.0)

    assert choose_threads(Format(), network, batch, step, Silent()) == 8
    assert calls.count(4) > 8
