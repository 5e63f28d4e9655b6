"""A network read while it computes: logits, pooled features, further heads, and maps by tap."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Self

import torch
from torch import Tensor, nn

from edgekd.errors import UsageError, nearest
from edgekd.models.build import head_name
from edgekd.models.network import Network
from edgekd.models.outputs import FEATURES, HEADS, POOLED, PREFIX, Output, tapped
from edgekd.models.taps import Tap, examine, need_of, run_empty


class Observer:
    """A network whose whole `Output` is read: `observer(canvas)` holds what `needs` ask for.

    Where logits are all, this is the network's own forward pass and nothing else. Raises UsageError for a tap or head
    that the network does not have.
    """

    def __init__(self, network: Network, needs: Sequence[str] | frozenset[str]) -> None:
        self.network = network
        self.names = tapped(needs, FEATURES)
        self.prefixes = tapped(needs, PREFIX)
        self.has_pooled = POOLED in needs
        heads = tapped(needs, HEADS)
        self.taps: dict[str, Tap] = {}
        self.heads: dict[str, str] = {}
        self._overwritten: set[str] = set()
        if self.names or self.prefixes or heads:
            self._find(heads)
        if self.has_pooled:
            head_name(network.backbone)

    def _find(self, heads: Sequence[str]) -> None:
        anatomy = examine(self.network)
        prefixed = {name: tap for name, tap in anatomy.taps.items() if tap.prefix}
        for kind, wanted, known in (
            (FEATURES, self.names, anatomy.taps),
            (PREFIX, self.prefixes, prefixed),
            (HEADS, heads, anatomy.heads),
        ):
            for name in wanted:
                if name not in known:
                    raise UsageError(f"{kind}{name}: no such output of {self.network.spec.name}", nearest(name, known))
        self.taps = {name: anatomy.taps[name] for name in (*self.names, *self.prefixes)}
        self.heads = {name: anatomy.heads[name] for name in heads}
        self._overwritten = self._find_overwritten()

    def _find_overwritten(self) -> set[str]:
        """Modules whose output is changed in place further on: of these a copy is kept."""
        seen: dict[str, tuple[Tensor, int]] = {}
        with ExitStack() as hooks:
            for module in {tap.module for tap in self.taps.values()}:
                self._hook(hooks, module, lambda _, __, out, module=module: seen.update({module: (out, out._version)}))
            run_empty(self.network)
        return {module for module, (output, version) in seen.items() if output._version != version}

    def _hook(self, hooks: ExitStack, module: str, listen: Any) -> None:  # noqa: ANN401
        handle = self.network.backbone.get_submodule(module).register_forward_hook(listen)
        hooks.callback(handle.remove)

    def __call__(self, canvas: Tensor) -> Output:
        """Canvases uint8 [n, S, S, C] to what the needs ask for."""
        if not (self.taps or self.heads or self.has_pooled):
            return Output(logits=self.network(canvas))
        seen: dict[str, Tensor] = {}
        pooled: list[Tensor] = []
        with ExitStack() as hooks:
            for module in {*self.heads.values(), *(tap.module for tap in self.taps.values())}:
                self._hook(hooks, module, self._keeping(seen, module))
            if self.has_pooled:
                backbone = self.network.backbone
                head = backbone.get_submodule(head_name(backbone))
                handle = head.register_forward_pre_hook(lambda _, inputs: pooled.append(inputs[0].flatten(1)))
                hooks.callback(handle.remove)
            logits = self.network(canvas)
        return Output(
            logits=logits,
            heads={name: seen[module] for name, module in self.heads.items()},
            pooled=pooled[-1] if pooled else None,
            features={name: self.taps[name].to_map(seen[self.taps[name].module]) for name in self.names},
            prefixes={name: seen[self.taps[name].module][:, : self.taps[name].prefix] for name in self.prefixes},
        )

    def _keeping(self, seen: dict[str, Tensor], module: str) -> Any:  # noqa: ANN401
        def keep(_: nn.Module, __: Any, output: Tensor) -> None:  # noqa: ANN401
            seen[module] = output.clone() if module in self._overwritten else output

        return keep


class Taps:
    """Logits and a cache's further columns by name: `taps(canvas) -> (logits, {"pooled": ..., "map:stage3": ...})`.

    Raises UsageError for a column that this network cannot give.
    """

    def __init__(self, network: Network, columns: Sequence[str]) -> None:
        self.network = network
        self.columns = {name: need_of(name) for name in columns}
        self._observer = Observer(network, frozenset(self.columns.values()))

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return self.network.offset.device

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Hooks are there during a call only."""

    def __call__(self, canvas: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Canvases uint8 [n, S, S, C] to float32 logits [n, classes] and the columns, [n, ...] each."""
        output = self._observer(canvas)
        if output.logits is None:
            raise UsageError(f"{self.network.spec.name}: gives no logits", "give a classifier")
        found = {FEATURES + name: value for name, value in output.features.items()}
        found |= {PREFIX + name: value for name, value in output.prefixes.items()}
        found |= {HEADS + name: value for name, value in output.heads.items()}
        if output.pooled is not None:
            found[POOLED] = output.pooled
        return output.logits.float(), {name: found[need] for name, need in self.columns.items()}
