"""From a student's map to tokens on a teacher's grid and of its width: by cross-attention, or by a 1x1 convolution.

The first is the cross attention projector (CAP) of ScaleKD: Fan et al. (2024), arXiv 2411.06786.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.errors import UsageError
from edgekd.methods.stages import Norm

HEAD_WIDTH = 64
DEVIATION = 0.02
"""Of the position embedding at the start."""

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Attention:
    """`heads`, `sharpness` (what attention logits are multiplied by besides 1 / sqrt(width)) and what a projector has.

    `has_queries`: learned queries of its own; `has_layer_norm`: layer norm over channels in its stem, not batch norm.
    """

    heads: int
    sharpness: float = 1.0
    has_queries: bool = True
    has_layer_norm: bool = False


def heads_for(width: int, asked: int, setting: str) -> int:
    """The heads requested, or of the divisors of `width` that which gives heads nearest 64 wide, of equals the larger.

    Raises UsageError when the heads requested do not divide the width.
    """
    divisors = [count for count in range(1, width + 1) if width % count == 0]
    if not asked:
        return min(reversed(divisors), key=lambda count: abs(width // count - HEAD_WIDTH))
    if asked not in divisors:
        some = ", ".join(str(count) for count in divisors if width // count >= HEAD_WIDTH // 4) or str(width)
        raise UsageError(
            f"--set {setting}={asked}: does not divide the teacher's width {width}", f"give one of: {some}"
        )
    return asked


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of every position."""

    def forward(self, input: Tensor) -> Tensor:
        """Maps [batch, channels, height, width] to the same."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Projector(nn.Module):
    """CAP: queries on the teacher's grid attend to the student's positions.

    Neither the queries nor the attended values are added to what comes out, only the last two layers have a residual.
    """

    def __init__(self, student: Shape, teacher: Shape, attention: Attention) -> None:
        """`student` and `teacher` are (channels, height, width) of the maps."""
        super().__init__()
        channels, *grid = student
        width, height, across = teacher
        norm = ChannelNorm(channels) if attention.has_layer_norm else Norm(channels)
        self.stem = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), norm, nn.ReLU())
        self.position = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, channels, *grid), std=DEVIATION))
        self.table = nn.Parameter(torch.randn(1, height * across, width)) if attention.has_queries else None
        self.prepare = nn.Sequential(nn.Linear(width, width), nn.ReLU())
        self.query, self.merge = nn.Linear(width, width), nn.Linear(width, width)
        self.key, self.value = nn.Linear(channels, width), nn.Linear(channels, width)
        self.norm = nn.LayerNorm(width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.heads = attention.heads
        self.scale = attention.sharpness * (width // attention.heads) ** -0.5

    def forward(self, maps: Tensor, queries: Tensor | None = None) -> Tensor:
        """A student's map [batch, channels, h, w] to tokens [batch, height * width, width of the teacher].

        `queries` [batch, height * width, width] take the place of the learned ones.
        """
        if queries is None:
            if self.table is None:
                raise ValueError("this projector has no queries of its own")
            queries = self.table.expand(len(maps), -1, -1)
        seen = self.stem(maps) + self._position(maps)
        seen = seen.flatten(2).transpose(1, 2)
        asked = self._split(self.query(self.prepare(queries)))
        found = F.scaled_dot_product_attention(
            asked, self._split(self.key(seen)), self._split(self.value(seen)), scale=self.scale
        )
        tokens = self.norm(self.merge(found.transpose(1, 2).flatten(2)))
        projected: Tensor = tokens + self.narrow(self.widen(tokens).relu())
        return projected

    def _split(self, tokens: Tensor) -> Tensor:
        """[batch, count, width] to [batch, heads, count, width / heads]."""
        return tokens.view(*tokens.shape[:2], self.heads, -1).transpose(1, 2)

    def _position(self, maps: Tensor) -> Tensor:
        """The position embedding at the size of the map: images grow during some trainings."""
        if self.position.shape[-2:] == maps.shape[-2:]:
            return self.position
        return F.interpolate(self.position, maps.shape[-2:], mode="bicubic", align_corners=False)


class Convolution(nn.Module):
    """The plain projector: a 1x1 convolution where the widths differ, and the same grid on both sides."""

    def __init__(self, student: Shape, teacher: Shape) -> None:
        """Raises UsageError when the grids differ."""
        super().__init__()
        if student[1:] != teacher[1:]:
            raise UsageError(
                f"--set cap=off: the student's map is {student[1]}x{student[2]}, the teacher's "
                f"{teacher[1]}x{teacher[2]}",
                "leave cap on, whose queries lie on the teacher's grid; or choose taps of one size",
            )
        same = student[0] == teacher[0]
        self.layer: nn.Module = nn.Identity() if same else nn.Conv2d(student[0], teacher[0], 1)

    def forward(self, maps: Tensor, queries: Tensor | None = None) -> Tensor:
        """A map [batch, channels, h, w] to tokens [batch, h * w, width of the teacher]."""
        tokens: Tensor = self.layer(maps).flatten(2).transpose(1, 2)
        return tokens
