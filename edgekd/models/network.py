"""A network with the facts needed to feed it and to build it again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.errors import CheckpointError
from edgekd.manifest import Channels, Side
from edgekd.values import Limits, Positive, check


class Images(Protocol):
    """What a network must know of the images it is built for (ImageData has it all)."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the logits."""

    @property
    def channels(self) -> int:
        """Colour channels of the canvas, 1 or 3."""

    @property
    def canvas(self) -> int:
        """Side of the canvas, pixels."""

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of the training pixels per channel, 0-1."""

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of the training pixels per channel, 0-1."""


@dataclass(frozen=True)
class Spec:
    """What builds a network again and feeds it: `name` is canonical, `options` what `build` chose for it."""

    name: str
    classes: Annotated[tuple[str, ...], Limits(1)]
    channels: Channels
    input_size: Side
    mean: Annotated[tuple[float, ...], Limits(1, 4)]
    std: Annotated[tuple[Positive, ...], Limits(1, 4)]
    options: dict[str, Any] = field(default_factory=dict)
    code: str | None = None
    """SHA-256 of the user's own file that defines it."""
    transforms: tuple[dict[str, Any], ...] = ()
    """What was changed after the network had been built, in order (models/transforms.py)."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, for manifests."""
        plain = asdict(self) | {each: list(getattr(self, each)) for each in ("classes", "mean", "std")}
        plain["transforms"] = list(self.transforms)
        return {name: value for name, value in plain.items() if name not in ("code", "transforms") or value}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: object = "a network's description") -> "Spec":
        """The Spec that `to_dict` wrote; raises CheckpointError naming `source` when it is none."""
        found: Spec = check(values, cls, source, CheckpointError, "restore the file, or make it again")
        if not len(found.mean) == len(found.std):
            raise CheckpointError(f"{source}: {len(found.mean)} means, {len(found.std)} deviations", "restore the file")
        return found


class Network(nn.Module):
    """A backbone (float [n, C, size, size] -> logits [n, classes]) that takes canvases of any side.

    Only the backbone's state is saved; the normalisation lives in the Spec.
    """

    offset: Tensor
    scale: Tensor
    is_channels_last = True
    """Layout handed to the backbone: the canvas's own, or a copy with channels first."""
    training_side: int | None = None
    """Side of the images in training, for now; None, and in evaluation: the Spec's."""

    def __init__(self, backbone: nn.Module, spec: Spec) -> None:
        super().__init__()
        self.backbone = backbone
        self.spec = spec
        mean, std = (torch.tensor(values, device="cpu").view(1, -1, 1, 1) for values in (spec.mean, spec.std))
        self.register_buffer("offset", mean * 255, persistent=False)
        self.register_buffer("scale", 1 / (std * 255), persistent=False)

    def prepare(self, canvas: Tensor) -> Tensor:
        """Canvases, uint8 [n, S, S, C], to normalised float32 [n, C, size, size].

        The strides are channels-last unless `is_channels_last` is off. Grey canvases are repeated for a network of
        three channels.
        """
        pixels = canvas.permute(0, 3, 1, 2).to(torch.float32)
        size = (self.training_side if self.training else None) or self.spec.input_size
        if pixels.shape[-1] != size or pixels.shape[-2] != size:
            pixels = F.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
        prepared = (pixels - self.offset).mul_(self.scale)
        return prepared if self.is_channels_last else prepared.contiguous()

    def forward(self, canvas: Tensor) -> Tensor:
        """Canvases, uint8 [n, S, S, C], to logits [n, classes]."""
        logits: Tensor = self.backbone(self.prepare(canvas))
        return logits
