"""What a network computes on the way to its logits: the pooled features and the outputs of named modules."""

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from edgekd.errors import UsageError, nearest
from edgekd.models.build import head_of
from edgekd.models.network import Network

POOLED = "pooled"
"""What the final classifier sees, [n, width]."""
MAP = "map:"
"""`map:NAME` is the output of the backbone's module NAME."""


class Taps:
    """Logits and, by name, what was tapped: `taps(canvas) -> (logits, {"pooled": ..., "map:layer3": ...})`.

    Leaving the context takes the hooks out again.

    Raises UsageError for a name that means nothing in this network.
    """

    def __init__(self, network: Network, names: Sequence[str]) -> None:
        self.network = network
        self._seen: dict[str, Tensor] = {}
        self._hooks = [self._listen(name) for name in names]

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return self.network.offset.device

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def __call__(self, canvas: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Canvases uint8 [n, S, S, C] to float32 logits [n, classes] and the taps, [n, ...] each."""
        self._seen.clear()
        logits = self.network(canvas).float()
        return logits, dict(self._seen)

    def _listen(self, name: str) -> Any:  # noqa: ANN401 - torch's handle
        if name == POOLED:

            def keep_input(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
                self._seen[POOLED] = inputs[0].flatten(1)

            return head_of(self.network.backbone).register_forward_pre_hook(keep_input)
        modules = dict(self.network.backbone.named_modules())
        place = name.removeprefix(MAP)
        if not name.startswith(MAP) or not place or place not in modules:
            known = [POOLED, *(MAP + each for each in modules if each)]
            raise UsageError(f"--columns {name}: no such output of {self.network.spec.name}", nearest(name, known))

        def keep_output(_: nn.Module, inputs: Any, output: Tensor) -> None:  # noqa: ANN401
            self._seen[name] = output

        return modules[place].register_forward_hook(keep_output)
