"""Which networks there are: short names for the usual ones, edgekd's own nets, and how a name is looked up."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import timm
from timm.models._registry import get_deprecated_models
from torch import nn

from edgekd.models import cifar, families, parametric, small
from edgekd.models.known import SHORT, is_file, no_such_model, without_hub
from edgekd.models.shape_names import shape_of
from edgekd.reading import at_home


@dataclass(frozen=True)
class OwnNet:
    """A net that edgekd defines: `make(classes, channels, input_size)` and the image side it was made for."""

    make: Callable[[int, int, int], nn.Module]
    input_size: int


OWN: dict[str, OwnNet] = {
    "tiny-cnn": OwnNet(small.tiny_cnn, 32),
    "resnet8": OwnNet(small.resnet8, 32),
    "resnet9": OwnNet(small.resnet9, 32),
    "custom-student": OwnNet(families.custom_student, 32),
    **{f"custom-teacher-{n}": OwnNet(partial(families.custom_teacher, n), 32) for n in (4, 6, 8)},
    **{f"rescnn-{n}": OwnNet(partial(families.rescnn, n), 150) for n in (4, 6, 8, 10, 12)},
    **{f"resnet{n}x4": OwnNet(partial(cifar.wide_resnet, n), 32) for n in (8, 32)},
}


def own_net(name: str) -> OwnNet | None:
    """The net of edgekd's of this name, one of a parametric family too; None for any other name.

    Raises UsageError for a name of a family that is not whole or out of bounds.
    """
    shape = shape_of(name)
    return OWN.get(name) if shape is None else OwnNet(parametric.maker_of(shape), 32)


USUAL: tuple[str, ...] = (
    *OWN,
    *(name for name in SHORT.values() if name not in ("vit_large_patch16_224",)),
    "resnet18",
    "resnet34",
    "resnet50",
    "vgg11_bn",
    "vgg16",
    "efficientnet_b0",
    "convnext_atto",
    "convnext_tiny",
)
"""What `edgekd models` lists by default."""


def resolve(name: str) -> str:
    """The canonical name: an own net, a timm name (with its tag), or `/absolute/net.py:function`.

    Raises UsageError with the nearest names when there is no such network.
    """
    if is_file(name):
        path, function = name.rsplit(":", 1)
        return f"{at_home(path).resolve()}:{function}"
    if own_net(name) is not None:
        return name
    found = _at_timm(without_hub(name))
    if found is not None:
        return found
    raise no_such_model(name)


def _at_timm(name: str) -> str | None:
    """timm's name of today for a short, a present or a former one, with its tag; None when there is no such model."""
    short, dot, tag = name.partition(".")
    full, _, now = (get_deprecated_models().get(short) or SHORT.get(short, short)).partition(".")
    tag = tag or now
    if not timm.is_model(full):
        return None
    if not tag:
        return full
    tagged = timm.list_pretrained(f"{full}.*")
    # timm's list of former names has tags that were renamed since: `sam` is `sam_in1k` now
    whole = f"{full}.{tag}"
    is_former = not dot
    return next((each for each in tagged if each == whole or (is_former and each.startswith(f"{whole}_"))), None)


def is_former(name: str) -> bool:
    """Whether timm knows a model by this name only as a former one."""
    return name in get_deprecated_models()


def short_names(name: str) -> tuple[str, ...]:
    """The short names that mean this canonical name."""
    return tuple(short for short, full in SHORT.items() if full == name)
