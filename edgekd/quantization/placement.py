"""Where a network is rounded: its operations traced, batch norms folded, fakes where ONNX Runtime puts Q and DQ.

The rules are those of ONNX Runtime's QDQ quantiser as `writer` calls it, so that training meets the grid of the file.
"""

import copy
import operator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from edgekd.errors import UsageError
from edgekd.quantization.fake import FakeActivation, FakeConv2d, FakeLinear, fake_layer, switch

LAYERS = (nn.Conv2d, nn.Linear)
CLIPPING = (nn.ReLU, nn.ReLU6, F.relu, F.relu6, torch.relu, "relu", "relu_")
"""What the quantiser takes into the operation before it."""
QUANTISED = (
    *(nn.LeakyReLU, nn.AdaptiveAvgPool2d, F.leaky_relu, F.adaptive_avg_pool2d),
    *(operator.add, operator.iadd, operator.mul, operator.imul, torch.add, torch.mul, torch.cat),
    *("add", "add_", "mul", "mul_", "mean"),
)
"""What has an INT8 kernel with a range of its own for its output."""
MOVING = (
    *(
        nn.MaxPool2d,
        nn.AvgPool2d,
        nn.Flatten,
        nn.Identity,
        nn.Sequential,
        nn.Dropout,
        F.max_pool2d,
        F.avg_pool2d,
        F.dropout,
    ),
    *(torch.flatten, "flatten", "view", "reshape"),
)
"""What keeps the range of its input; a Sequential that is not looked into is empty."""
PREFIX = "grid_"


class _Tracer(fx.Tracer):
    """Modules without modules inside are not looked into, nor are norms that carry an activation (timm)."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.BatchNorm2d) or not any(True for _ in m.children())


def trace(backbone: nn.Module) -> fx.GraphModule:
    """The backbone as a graph of calls; raises UsageError where its course depends on values."""
    backbone.eval()
    try:
        return fx.GraphModule(backbone, _Tracer().trace(backbone))
    except Exception as error:  # fx raises errors of many kinds for what it cannot follow
        raise UsageError(
            f"{type(backbone).__name__}: its operations cannot be traced ({str(error).splitlines()[0]})",
            "--quantize int8 in training needs a plain network; edgekd export --quantize int8 takes any",
        ) from error


def fold_norms(backbone: nn.Module) -> fx.GraphModule:
    """The backbone for evaluation, its batch norms folded into the convolutions before them, which are changed.

    Raises UsageError where it cannot be traced.
    """
    graph = trace(backbone)
    _split_norms(graph)
    _fold_norms(graph)
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph


def place_fakes(backbone: nn.Module, limit: int) -> fx.GraphModule:
    """The backbone with batch norms folded into their convolutions and fakes in their places.

    Parameters keep their names; a folded convolution gains a bias. Raises UsageError where it cannot be traced.
    """
    graph = fold_norms(backbone)
    _keep_values(graph)
    kept = [node for node in graph.graph.nodes if _needs_fake(node, graph)]
    for number, node in enumerate(kept):
        name = f"{PREFIX}{number}"
        graph.add_submodule(name, FakeActivation())
        with graph.graph.inserting_after(node):
            fake = graph.graph.call_module(name, (node,))
        node.replace_all_uses_with(fake, delete_user_cb=lambda user, own=fake: user is not own)
    for name, module in list(graph.named_modules()):
        if isinstance(module, LAYERS) and any(n.op == "call_module" and n.target == name for n in graph.graph.nodes):
            graph.set_submodule(name, fake_layer(module, limit))
    for node in graph.graph.nodes:
        if isinstance(layer := _module(node, graph), FakeConv2d | FakeLinear):
            # in a tuple, lest it be a module of the layer's, too
            layer.given = _given_fake(node, graph)
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph


def _split_norms(graph: fx.GraphModule) -> None:
    """A norm that carries an activation (timm's BatchNormAct2d) becomes a norm and the activation."""
    for node in list(graph.graph.nodes):
        module = _module(node, graph)
        act = getattr(module, "act", None)
        if not isinstance(module, nn.BatchNorm2d) or not isinstance(act, nn.Module):
            continue
        plain = nn.BatchNorm2d(module.num_features, module.eps, module.momentum, module.affine)
        plain.load_state_dict({name: value for name, value in module.state_dict().items() if "." not in name})
        graph.set_submodule(str(node.target), plain.eval())
        if not isinstance(act, nn.Identity):
            name = f"{str(node.target).replace('.', '_')}_act"
            graph.add_submodule(name, act)
            with graph.graph.inserting_after(node):
                after = graph.graph.call_module(name, (node,))
            node.replace_all_uses_with(after, delete_user_cb=lambda user, own=after: user is not own)


def _fold_norms(graph: fx.GraphModule) -> None:
    """Norms right after a convolution that nothing else reads become part of it."""
    for node in list(graph.graph.nodes):
        norm = _module(node, graph)
        before = node.args[0] if node.args else None
        if not isinstance(norm, nn.BatchNorm2d) or not isinstance(before, fx.Node) or len(before.users) > 1:
            continue
        conv: Any = _module(before, graph)
        if not isinstance(conv, nn.Conv2d) or norm.running_mean is None or norm.running_var is None:
            continue
        weight, bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        conv.weight, conv.bias = nn.Parameter(weight.detach()), nn.Parameter(bias.detach())
        node.replace_all_uses_with(before)
        graph.graph.erase_node(node)


def _keep_values(graph: fx.GraphModule) -> None:
    """No operation writes over its input: the exported file gives values from before activations."""
    for module in graph.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]
    for node in graph.graph.nodes:
        if node.kwargs.get("inplace"):
            node.kwargs = {**node.kwargs, "inplace": False}


def _module(node: fx.Node, graph: fx.GraphModule) -> nn.Module | None:
    return graph.get_submodule(str(node.target)) if node.op == "call_module" else None


def _is(node: fx.Node, graph: fx.GraphModule, kinds: tuple[Any, ...]) -> bool:
    """Whether a node calls one of these modules, functions or methods."""
    module = _module(node, graph)
    if module is not None:
        return isinstance(module, tuple(each for each in kinds if isinstance(each, type)))
    return node.op in ("call_function", "call_method") and node.target in kinds


def _is_quantised(node: fx.Node, graph: fx.GraphModule) -> bool:
    return _is(node, graph, LAYERS) or _is(node, graph, CLIPPING) or (_is(node, graph, QUANTISED) and _is_map(node))


def _is_map(node: fx.Node) -> bool:
    """Whether an operation is on tensors alone, as its INT8 kernel wants it; a mean is one over height and width."""
    if node.target == "mean":
        axes = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
        return axes in ((2, 3), [2, 3], (-2, -1), [-2, -1], (-1, -2), [-1, -2])
    given = node.args[0] if node.target is torch.cat else node.args
    if node.op == "call_module" or not isinstance(given, tuple | list):
        return True
    return all(isinstance(each, fx.Node) for each in given[:2])


def _needs_fake(node: fx.Node, graph: fx.GraphModule) -> bool:
    """Whether the quantiser puts Q and DQ behind a node: an input or an output of what it quantises."""
    if node.op in ("output", "get_attr") or _is(node, graph, MOVING):
        return False
    users = list(node.users)
    if len(users) == 1 and _is(users[0], graph, CLIPPING) and _is_quantised(node, graph):
        return _is(node, graph, (nn.Linear,))
    if any(_is_quantised(user, graph) for user in _real_users(node, graph)):
        return True
    return _is_quantised(node, graph) and not _is(node, graph, (nn.Linear,))


def _real_users(node: fx.Node, graph: fx.GraphModule) -> list[fx.Node]:
    """Who reads a node's values, also after they have been moved."""
    found: list[fx.Node] = []
    for user in node.users:
        found += _real_users(user, graph) if _is(user, graph, MOVING) else [user]
    return found


def _given_fake(node: fx.Node, graph: fx.GraphModule) -> tuple[FakeActivation, ...]:
    """The fake that rounds what a layer is given, also where that was moved since; none where there is none."""
    before = node.args[0]
    while isinstance(before, fx.Node) and _is(before, graph, MOVING):
        before = before.args[0]
    found = _module(before, graph) if isinstance(before, fx.Node) else None
    return (found,) if isinstance(found, FakeActivation) else ()


def fakes_of(graph: nn.Module) -> dict[str, FakeActivation]:
    """The fakes of a network by name, in order of execution."""
    return {name: module for name, module in graph.named_modules() if isinstance(module, FakeActivation)}


@dataclass(frozen=True)
class Plain:
    """A float32 copy without fakes that gives its logits and then the tensors that each of `names` would be given.

    `on_input`: the fakes of the images themselves.
    """

    module: fx.GraphModule
    names: tuple[str, ...]
    on_input: tuple[str, ...]


def float_twin(backbone: nn.Module) -> nn.Module:
    """The network that computes in float32 with the weights of a faked one; any other backbone itself."""
    if not isinstance(backbone, fx.GraphModule) or not fakes_of(backbone):
        return backbone
    twin = without_fakes(backbone).module
    end = next(node for node in twin.graph.nodes if node.op == "output")
    end.args = (end.args[0][0],)
    twin.recompile()
    return twin


def without_fakes(graph: fx.GraphModule) -> Plain:
    """The float32 network behind a faked one, with the tensors that were rounded as further outputs."""
    plain = copy.deepcopy(graph)
    switch(plain, off=True)
    given: dict[str, fx.Node] = {}
    for node in list(plain.graph.nodes):
        if isinstance(_module(node, plain), FakeActivation):
            given[str(node.target)] = node.args[0]
            node.replace_all_uses_with(node.args[0])
            plain.graph.erase_node(node)
    on_input = tuple(name for name, node in given.items() if node.op == "placeholder")
    names = tuple(name for name in given if name not in on_input)
    end = next(node for node in plain.graph.nodes if node.op == "output")
    end.args = ((end.args[0], *(given[name] for name in names)),)
    plain.delete_all_unused_submodules()
    plain.recompile()
    return Plain(plain, names, on_input)
