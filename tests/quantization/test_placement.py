import pytest
import torch
from torch import nn

from edgekd.errors import UsageError
from edgekd.models.families import custom_student
from edgekd.models.small import resnet8, tiny_cnn
from edgekd.models.timm_nets import create
from edgekd.quantization.fake import FakeConv2d, FakeLinear, switch
from edgekd.quantization.placement import fakes_of, float_twin, place_fakes, without_fakes

NETS = {
    "resnet8": lambda: resnet8(4, 3),
    "tiny-cnn": lambda: tiny_cnn(4, 3),
    "custom-student": lambda: custom_student(4, 3),
    "mobilenetv3_small_050": lambda: create("mobilenetv3_small_050", 4, 3, {"stem_stride": 1}),
}


def with_statistics(net: nn.Module) -> nn.Module:
    """Batch norms that do something."""
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return net.eval()


@pytest.mark.parametrize("name", NETS)
def test_folding_changes_no_answer(name: str) -> None:
    net = with_statistics(NETS[name]())
    inputs = torch.randn(4, 3, 32, 32)
    with torch.inference_mode():
        expected = net(inputs)
        graph = place_fakes(net, 127)
        switch(graph, off=True)
        assert torch.allclose(graph(inputs), expected, atol=1e-4 * float(expected.abs().max()))
        assert torch.allclose(float_twin(graph)(inputs), expected, atol=1e-4 * float(expected.abs().max()))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in graph.modules())
    layers = [module for module in graph.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert all(isinstance(module, FakeConv2d | FakeLinear) for module in layers)


def test_parameters_keep_their_names() -> None:
    names = {name for name, _ in resnet8(4, 3).named_parameters() if ".1." not in name and ".4." not in name}
    assert {name for name, _ in place_fakes(resnet8(4, 3), 127).named_parameters()} == names


def test_fakes_stand_where_the_quantiser_puts_q_and_dq() -> None:
    layers = [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.Hardswish(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 1)]
    graph = place_fakes(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)), 127)
    before = [str(node.args[0]) for node in graph.graph.nodes if str(node.target).startswith("grid_")]
    # input, after the ReLU, before and after HardSwish, the last convolution, the mean; not the pool, nor the logits
    assert len(before) == 6 and [name.lstrip("_") for name in before[1:]] == ["1", "2", "3", "5", "6"]


def test_tensors_before_an_activation_are_not_written_over() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.LeakyReLU(inplace=True), nn.Flatten(), nn.Linear(256, 2)).eval()
    inputs = torch.randn(2, 3, 8, 8)
    with torch.inference_mode():
        expected = net[0](inputs)
        found = without_fakes(place_fakes(net, 127))
        tensors = dict(zip(found.names, found.module(inputs)[1:], strict=True))
    assert any(value.shape == expected.shape and torch.allclose(value, expected) for value in tensors.values())
    assert any(bool((value < 0).any()) for value in tensors.values())


class Wavering(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) if images.sum() > 0 else -images.flatten(1)


def test_a_course_that_depends_on_values_is_told() -> None:
    with pytest.raises(UsageError, match="cannot be traced"):
        place_fakes(Wavering(), 127)


def test_a_plain_network_is_its_own_twin() -> None:
    net = resnet8(4, 3)
    assert float_twin(net) is net and fakes_of(net) == {}
