"""Made-up outputs of a student and a teacher of different shapes, for tests of any method."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from edgekd.data.batch import Batch
from edgekd.methods.contract import Method, Part, Side
from edgekd.methods.loading import join, load_method
from edgekd.models.network import Network, Spec
from edgekd.models.outputs import Output
from edgekd.teachers.teacher import Live

CLASSES = 5
SAMPLES = 40
STUDENT_MAPS = {"stage1": (6, 8, 8), "stage2": (8, 8, 8), "stage3": (12, 4, 4), "stage4": (16, 2, 2)}
TEACHER_MAPS = {"stage1": (10, 8, 8), "stage2": (12, 4, 4), "stage3": (20, 4, 4)}


def side(maps: dict[str, tuple[int, int, int]], heads: tuple[str, ...] = ("token", "class")) -> Side:
    """What a network with these maps gives."""
    shapes: dict[str, tuple[int, ...]] = {f"features:{name}": shape for name, shape in maps.items()}
    shapes["pooled"] = (list(maps.values())[-1][0],)
    gives = frozenset({"logits", *shapes, *(f"heads:{name}" for name in heads)})
    return Side(CLASSES, gives, shapes, tuple(maps), SAMPLES, "cnn")


STUDENT, TEACHER = side(STUDENT_MAPS), side(TEACHER_MAPS, ())


class Ending(nn.Module):
    """A network whose last two stages have the shapes of the made-up teacher's."""

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Conv2d(3, TEACHER_MAPS["stage2"][0], 1, 2)
        self.stage2 = nn.Conv2d(TEACHER_MAPS["stage2"][0], TEACHER_MAPS["stage3"][0], 1)
        self.head = nn.Linear(TEACHER_MAPS["stage3"][0], CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.stage2(self.stage1(images)).mean((2, 3)))
        return logits


def with_tail(teacher: Side) -> Side:
    """The side with the last stage of such a network."""
    torch.manual_seed(0)
    network = Network(Ending(), Spec("ending", tuple("abcde"), 3, 8, (0.5,) * 3, (0.25,) * 3))
    tail = Live(network).side.tail
    assert tail is not None
    tail.entrance_name, tail.target_name = "stage2", "stage3"
    return replace(teacher, gives=teacher.gives | {"tail"}, tail=tail)


TEACHER = with_tail(TEACHER)


def output(of: Side, count: int, seed: int, dtype: torch.dtype = torch.float32, strong: bool = True) -> Output:
    """Random outputs of `count` images; every tensor is a leaf that may get a gradient."""
    random = torch.Generator().manual_seed(seed)

    def made(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=random).to(dtype).requires_grad_()

    heads = {each.removeprefix("heads:"): made(CLASSES) for each in sorted(of.gives) if each.startswith("heads:")}
    maps = {name.removeprefix("features:"): made(*shape) for name, shape in of.shapes.items() if "features" in name}
    second = output(of, count, seed + 100, dtype, strong=False) if strong else None
    return Output(made(CLASSES), heads, made(*of.shapes["pooled"]), maps, second)


def tensors(said: Output) -> list[Tensor]:
    """All tensors of an output, those of the strong view too."""
    own = [
        each for each in (said.logits, said.pooled, *said.heads.values(), *said.features.values()) if each is not None
    ]
    return own + (tensors(said.strong) if said.strong is not None else [])


def batch(count: int, known: bool = True) -> Batch:
    """`count` images of all classes in turn, or without labels."""
    target = torch.arange(count) % CLASSES if known else torch.full((count,), -1)
    return Batch(torch.zeros(count, 8, 8, 3, dtype=torch.uint8), target, np.arange(count) * 3 % SAMPLES, 0)


def mixed(plain: Batch, partner: Tensor, share: float) -> Batch:
    """The batch with these partners mixed in."""
    return replace(plain, partner_target=partner, share=torch.full((len(plain),), share))


def built(name: str, *settings: str) -> Method:
    """The method by name, joined to the two sides."""
    torch.manual_seed(0)
    method = load_method(name, settings, {})
    join(name, method, STUDENT, TEACHER)
    return method


def total(parts: dict[str, Part]) -> Tensor:
    """The weighted sum of the parts."""
    return torch.stack([part.weight * part.value for part in parts.values()]).sum()


def part_of(said: Output, start: int, stop: int) -> Output:
    """The same output of some of the images."""

    def cut(each: Tensor | None) -> Tensor | None:
        return None if each is None else each[start:stop]

    return Output(
        cut(said.logits),
        {name: each[start:stop] for name, each in said.heads.items()},
        cut(said.pooled),
        {name: each[start:stop] for name, each in said.features.items()},
        None if said.strong is None else part_of(said.strong, start, stop),
    )


class Tapped(nn.Module):
    """A network of two stages and the usual end, with a distillation head where asked for."""

    def __init__(self, width: int, token: bool) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(nn.Conv2d(3, width, 3, 2, padding=1), nn.ReLU())
        self.stage2 = nn.Sequential(nn.Conv2d(width, 2 * width, 3, 2, padding=1), nn.ReLU())
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(2 * width, CLASSES)
        if token:
            self.head_dist = nn.Linear(2 * width, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        pooled = self.pool(self.stage2(self.stage1(images)))
        if hasattr(self, "head_dist"):
            return (self.head(pooled) + self.head_dist(pooled)) / 2
        return self.head(pooled)


def network(width: int, token: bool = False) -> Network:
    """A small network of these channels for 8x8 images."""
    return Network(Tapped(width, token), Spec("tapped", tuple("abcde"), 3, 8, (0.5,) * 3, (0.25,) * 3))
