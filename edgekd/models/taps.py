"""Where maps, pooled features and further heads are read from a network: found by one pass over an empty image."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import torch
from torch import Tensor, nn

from edgekd.errors import UsageError
from edgekd.models.build import head_name
from edgekd.models.network import Network
from edgekd.models.outputs import FEATURES, HEADS, POOLED, PREFIX

MAP = "map:"
"""`map:<tap>` is a cache's column of the map at a tap."""
STAGES = 4
"""A network has at most so many automatic taps; of more the last ones count, which leaves the stem out."""
IMAGES = 2
"""Images of the empty batch: with one, tokens and batch could not be told apart."""

Layout = Literal["maps", "channels-last", "tokens", "vectors"]


@dataclass(frozen=True)
class Tap:
    """A module of the backbone and how its output becomes a map; `shape` is (channels, height, width)."""

    module: str
    layout: Layout
    shape: tuple[int, int, int]
    prefix: int = 0

    def to_map(self, output: Tensor) -> Tensor:
        """The module's output as [n, channels, height, width]; a view of it where its layout allows."""
        if self.layout == "maps":
            return output
        if self.layout == "channels-last":
            return output.permute(0, 3, 1, 2)
        if self.layout == "vectors":
            return output[:, :, None, None]
        tokens = output[:, self.prefix :]
        # The grid may be another one than at full size: images grow during some trainings.
        height = round(math.sqrt(tokens.shape[1] * self.shape[1] / self.shape[2]))
        return tokens.transpose(1, 2).reshape(len(tokens), self.shape[0], height, -1)

    def from_map(self, maps: Tensor, prefix: Tensor | None = None) -> Tensor:
        """A map [n, channels, height, width] as the module's output; `prefix` [n, count, channels] comes first."""
        if self.layout == "maps":
            return maps
        if self.layout == "channels-last":
            return maps.permute(0, 2, 3, 1)
        if self.layout == "vectors":
            return maps.flatten(1)
        tokens = maps.flatten(2).transpose(1, 2)
        return tokens if prefix is None else torch.cat([prefix.to(tokens.dtype), tokens], dim=1)


@dataclass(frozen=True)
class Anatomy:
    """All that can be read from a network: `taps` by automatic name and by module path, `stages` the automatic names.

    `pooled` is the width of the pooled features, None where there is no single final classifier; `heads` are the
    modules of further classifiers by name.
    """

    taps: Mapping[str, Tap]
    stages: tuple[str, ...]
    pooled: int | None
    heads: Mapping[str, str]


def examine(network: Network) -> Anatomy:
    """Run an empty image through the network and find its taps; weights, statistics and random numbers stay."""
    seen: dict[str, Tensor] = {}
    with _listening(network, [name for name, _ in network.backbone.named_modules() if name], seen):
        run_empty(network)
    described = {name: tap for name, output in seen.items() if (tap := _describe(network.backbone, name, output))}
    stages = {f"stage{number}": tap for number, tap in enumerate(_stages(network.backbone, described), start=1)}
    classes = len(network.spec.classes)
    logits = {name for name, output in seen.items() if tuple(output.shape) == (IMAGES, classes)}
    return Anatomy(described | stages, tuple(stages), _pooled_width(network.backbone), _heads(network.backbone, logits))


@torch.no_grad()
def run_empty(network: Network) -> Tensor:
    """The logits of an empty batch in evaluation mode; the mode is put back afterwards."""
    spec = network.spec
    canvas = torch.zeros(
        IMAGES, spec.input_size, spec.input_size, spec.channels, dtype=torch.uint8, device=network.offset.device
    )
    with evaluating(network):
        logits: Tensor = network(canvas)
    return logits


@contextmanager
def evaluating(network: Network) -> Iterator[None]:
    """The network in evaluation mode; the mode of every module is put back afterwards."""
    modes = {module: module.training for module in network.modules()}
    try:
        network.eval()
        yield
    finally:
        for module, was_training in modes.items():
            module.training = was_training


@contextmanager
def _listening(network: Network, names: Sequence[str], seen: dict[str, Tensor]) -> Iterator[None]:
    """Keep what these modules give (a memory-free stand-in where only its shape is requested) in order of execution."""

    def keep(name: str, output: Any) -> None:  # noqa: ANN401
        if isinstance(output, Tensor):
            seen.pop(name, None)
            seen[name] = torch.empty(output.shape, device="meta")

    with ExitStack() as hooks:
        for name in names:
            module = network.backbone.get_submodule(name)
            hook = module.register_forward_hook(lambda _, __, output, name=name: keep(name, output))
            hooks.callback(hook.remove)
        yield


def _describe(backbone: nn.Module, name: str, output: Tensor) -> Tap | None:
    """How an output becomes a map; None when it is not one of a batch of images."""
    if output.ndim < 2 or output.shape[0] != IMAGES:
        return None
    _, *sizes = output.shape
    if output.ndim == 2:
        return Tap(name, "vectors", (sizes[0], 1, 1))
    if output.ndim == 4:
        is_last = sizes[0] == sizes[1] and (sizes[1] != sizes[2] or getattr(backbone, "output_fmt", "NCHW") == "NHWC")
        if is_last:
            return Tap(name, "channels-last", (sizes[2], sizes[0], sizes[1]))
        return Tap(name, "maps", (sizes[0], sizes[1], sizes[2]))
    if output.ndim == 3:
        return _tokens(backbone, name, sizes[0], sizes[1])
    return None


def _tokens(backbone: Any, name: str, length: int, width: int) -> Tap | None:  # noqa: ANN401
    grid = getattr(getattr(backbone, "patch_embed", None), "grid_size", None)
    own = getattr(backbone, "num_prefix_tokens", 0)
    for prefix in dict.fromkeys((own, 0, 1, 2)):
        count = length - prefix
        side = math.isqrt(max(count, 0))
        if grid is not None and count == math.prod(grid):
            return Tap(name, "tokens", (width, *grid), prefix)
        if count > 0 and side * side == count:
            return Tap(name, "tokens", (width, side, side), prefix)
    return None


def _stages(backbone: nn.Module, taps: Mapping[str, Tap]) -> list[Tap]:
    """The automatic taps from input to output."""
    known = [name for name in _named_stages(backbone) if name in taps and taps[name].layout != "vectors"]
    places = [taps[name] for name in known] or _found_stages(backbone, taps)
    stages = _gathered(places)
    norm = taps.get("norm")
    # Transformers and mixers normalise their tokens before they pool them.
    if stages and norm is not None and (norm.layout, norm.shape) == (stages[-1].layout, stages[-1].shape):
        stages[-1] = norm
    return stages


def _named_stages(backbone: Any) -> list[str]:  # noqa: ANN401
    """What the network calls its own stages: children `stage1`.., or timm's list."""
    own = [name for name, _ in backbone.named_children() if re.fullmatch(r"stage\d+", name)]
    if own:
        return own
    listed = getattr(backbone, "feature_info", None) or []
    return [each["module"] for each in (listed if isinstance(listed, list) else listed.info)]


def _found_stages(backbone: nn.Module, taps: Mapping[str, Tap]) -> list[Tap]:
    """The children that compute maps, of the outermost module that has at least two of them."""
    places: list[str] = []
    level = [name for name, _ in backbone.named_children()]
    while level:
        weighed = [name for name in taps if name in level and taps[name].layout != "vectors"]
        places = [name for name in weighed if next(backbone.get_submodule(name).parameters(), None) is not None]
        if len(places) > 1:
            break
        level = [f"{name}.{child}" for name in level for child, _ in backbone.get_submodule(name).named_children()]
    return [taps[name] for name in places]


def _gathered(places: Sequence[Tap]) -> list[Tap]:
    """The last place of every resolution; of a single resolution, every fourth part's last place."""
    runs = [list(run) for _, run in groupby(places, key=lambda tap: tap.shape[1:])]
    if len(runs) == 1:
        count = min(STAGES, len(places))
        return [places[round(len(places) * part / count) - 1] for part in range(1, count + 1)]
    if len(runs) == 2 and len(places) > 2:
        # With two resolutions the longer run is taken as two stages.
        longer = max(runs, key=len)
        middle = len(longer) // 2
        at = runs.index(longer)
        runs[at : at + 1] = [longer[:middle], longer[middle:]]
    return [run[-1] for run in runs][-STAGES:]


def _pooled_width(backbone: nn.Module) -> int | None:
    try:
        head: Any = backbone.get_submodule(head_name(backbone))
    except UsageError:
        return None
    return int(head.weight.shape[1])


def _heads(backbone: nn.Module, logits: set[str]) -> dict[str, str]:
    """Further classifiers: both of a distilled DeiT, and early exits that are children called `exit1`.. ."""
    known = {"class": "head", "token": "head_dist"} if "head_dist" in logits else {}
    exits = {name: name for name, _ in backbone.named_children() if re.fullmatch(r"exit\d+", name)}
    return {name: module for name, module in (known | exits).items() if module in logits}


def need_of(column: str) -> str:
    """A cache's column as a need: `map:stage3` -> `features:stage3`; raises UsageError for another kind of name."""
    if column == POOLED or (column.startswith(MAP) and column != MAP):
        return column.replace(MAP, FEATURES, 1)
    if column.startswith(PREFIX) and column != PREFIX:
        return column
    if column.startswith("head:") and column != "head:":
        return column.replace("head:", HEADS, 1)
    raise UsageError(
        f"--columns {column}: no such kind of output", "pooled, map:<tap> (map:stage3), prefix:<tap> or head:<name>"
    )


def column_of(need: str) -> str:
    """A need as a cache's column: the other way round."""
    return need.replace(FEATURES, MAP, 1).replace(HEADS, "head:", 1)
