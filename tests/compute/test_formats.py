import pytest
import torch
from timm.layers import Attention

from edgekd.compute.formats import Format, device_of, measure_step
from edgekd.config import Machine
from edgekd.data.batch import Batch
from edgekd.models.network import Network


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


@pytest.mark.parametrize("layout", ["channels-first", "channels-last"])
def test_the_layout_does_not_change_the_result(network: Network, batch: Batch, layout: str) -> None:
    network.eval()
    expected = network(batch.canvas)
    Format("fp32", layout).prepare(network)  # type: ignore[arg-type]
    assert torch.allclose(network(batch.canvas), expected, atol=1e-5)
    assert network.prepare(batch.canvas).is_contiguous() == (layout == "channels-first")


def test_attention_in_steps_is_the_fused_one(network: Network) -> None:
    attention = Attention(16, num_heads=2)
    network.backbone = attention
    tokens = torch.randn(3, 5, 16)
    attention.fused_attn = True
    expected = attention(tokens)
    Format().prepare(network)
    assert not attention.fused_attn
    assert torch.allclose(attention(tokens), expected, atol=1e-6)


def test_threads_are_set() -> None:
    before = torch.get_num_threads()
    device_of(Machine(threads=1))
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)
