"""The frozen rest of a network behind one of its maps, as a module of its own that shares the network's weights."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from edgekd.models.network import Network
from edgekd.models.taps import Anatomy, evaluating


class Tail(nn.Module):
    """What a network computes between two of its taps: maps at `entrance` to maps at `target`.

    Its modules are the network's own, so it is as frozen, and in the same mode, as the network. Gradients pass through.
    """

    def __init__(self, network: Network, anatomy: Anatomy, names: tuple[str, str], rest: nn.Module) -> None:
        super().__init__()
        self.rest = rest
        self.entrance_name, self.target_name = names
        self.entrance, self.target = (anatomy.taps[name] for name in names)
        # in a tuple, so that the whole network does not become a part of its own tail
        self._source = network, anatomy

    def entering_at(self, tap: str) -> "Tail | None":
        """The tail of the same network from another tap; None where there is none."""
        return tail_of(*self._source, tap)

    def forward(self, maps: Tensor, prefix: Tensor | None = None) -> Tensor:
        """Maps [batch, channels, height, width] at the entrance to those at the target.

        `prefix` [batch, count, channels]: the tokens that stand before the map, such as the class token; left out, the
        blocks see the map alone.
        """
        output = self.rest(self.entrance.from_map(maps, prefix))
        is_whole = prefix is not None or self.entrance.prefix == 0
        target = self.target if is_whole else replace(self.target, prefix=0)
        return target.to_map(output)


def tail_of(network: Network, anatomy: Anatomy, entrance: str | None = None) -> Tail | None:
    """The rest behind the last-but-one automatic tap (or the tap `entrance`), up to the last one.

    None where there are no two such taps of maps, where the forward pass cannot be followed (it depends on values), or
    where the last map depends on the image by another way than through the entrance.
    """
    if len(anatomy.stages) < 2:
        return None
    names = (entrance or anatomy.stages[-2], anatomy.stages[-1])
    if names[0] not in anatomy.taps or any(anatomy.taps[name].layout == "vectors" for name in names):
        return None
    rest = _rest(network, [anatomy.taps[name].module for name in names])
    return None if rest is None else Tail(network, anatomy, names, rest)


class _Tracer(fx.Tracer):
    """Follows the forward pass down to these modules; whatever holds none of them is a single step."""

    def __init__(self, modules: Sequence[str]) -> None:
        super().__init__()
        self.modules = modules

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not any(name.startswith(module_qualified_name + ".") for name in self.modules)


def _rest(network: Network, modules: Sequence[str]) -> nn.Module | None:
    """The steps from the output of the first of these modules to that of the second."""
    backbone = network.backbone
    known = set(vars(backbone))
    try:
        with evaluating(network):
            graph = _Tracer(modules).trace(backbone)
        steps = _between(graph, *modules)
        return None if steps is None else fx.GraphModule(backbone, steps)
    except Exception:  # code that cannot be followed answers with errors of any kind
        return None
    finally:
        # Tensors made on the way, such as rotary embeddings, are left on the module that was followed.
        for name in set(vars(backbone)) - known:
            delattr(backbone, name)


def _between(graph: fx.Graph, entrance: str, target: str) -> fx.Graph | None:
    """The part of the graph that leads from the entrance's output to the target's."""
    calls: dict[Any, fx.Node] = {node.target: node for node in graph.nodes if node.op == "call_module"}
    first, last = calls.get(entrance), calls.get(target)
    if first is None or last is None or first is last:
        return None
    wanted: set[fx.Node] = {last}
    for node in reversed(graph.nodes):
        if node in wanted and node is not first:
            wanted.update(node.all_input_nodes)
    # Further arguments, such as an attention mask, are as they are when the network is given an image alone.
    inputs = {node: node.args for node in wanted if node.op == "placeholder"}
    if first not in wanted or not all(inputs.values()):
        return None
    found = fx.Graph()
    copies: dict[fx.Node, Any] = {node: default for node, (default, *_) in inputs.items()}
    copies[first] = found.placeholder("output")
    for node in graph.nodes:
        if node in wanted and node not in copies:
            copies[node] = found.node_copy(node, copies.__getitem__)
    found.output(copies[last])
    found.lint()
    return found


def passes(tail: Tail, with_prefix: bool) -> bool:
    """Whether an empty map goes through, with its prefix tokens or without them."""
    like: Any = next(tail.parameters(), torch.empty(0))
    empty = torch.zeros(1, *tail.entrance.shape, device=like.device)
    prefix = empty.new_zeros(1, tail.entrance.prefix, tail.entrance.shape[0]) if with_prefix else None
    try:
        with torch.no_grad():
            return tuple(tail(empty, prefix).shape[1:]) == tail.target.shape
    except RuntimeError:
        return False
