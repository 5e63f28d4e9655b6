"""timm's networks, made to fit small images when they are trained from scratch."""

import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

import timm
import torch
from huggingface_hub import constants as hub
from timm.models.resnet import ResNet
from torch import nn

from edgekd.errors import MissingDependency, UsageError

CONNECT_SECONDS = 3.0


def create(name: str, classes: int, channels: int, options: dict[str, Any]) -> nn.Module:
    """A timm network with fresh weights; `stem_stride` among the options is edgekd's, the rest timm's."""
    given = {key: value for key, value in options.items() if key != "stem_stride"}
    net: nn.Module = timm.create_model(name, num_classes=classes, in_chans=channels, **given)
    if "stem_stride" in options:
        _set_stem(net, options["stem_stride"])
    return net


def create_pretrained(name: str, classes: int, channels: int, options: dict[str, Any]) -> nn.Module:
    """A timm network with its pretrained weights; the head is fresh where the number of classes differs.

    Raises MissingDependency when the weights can neither be found on this machine nor downloaded.
    """
    try:
        with _offline_unless_reachable():
            net: nn.Module = timm.create_model(name, pretrained=True, num_classes=classes, in_chans=channels, **options)
    except (OSError, URLError, RuntimeError) as error:
        raise MissingDependency(
            f"{name}: its pretrained weights are not on this machine and cannot be downloaded",
            f"`edgekd train-teacher --model {name}` trains one, --teacher-weights FILE takes one from a file",
        ) from error
    return net


@contextmanager
def _offline_unless_reachable() -> Iterator[None]:
    """Without a network huggingface_hub retries for most of a minute; a short knock at the door tells sooner."""
    before = hub.HF_HUB_OFFLINE
    hub.HF_HUB_OFFLINE = before or not _reachable(hub.ENDPOINT)
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE = before


def _reachable(url: str) -> bool:
    if urllib.request.getproxies():
        return True
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def config(name: str) -> dict[str, Any]:
    """timm's facts on the pretrained weights: input size, mean, std, number of classes."""
    found: Any = timm.get_pretrained_cfg(name)
    return dict(found.to_dict()) if found else {}


def own_size(name: str) -> int:
    """Side of the images the network was made for, pixels."""
    return int(config(name).get("input_size", (3, 224, 224))[-1])


def normalisation(name: str, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std the pretrained weights expect, averaged to one channel for grey images."""
    found = config(name)
    mean, std = (tuple(float(each) for each in found[key]) for key in ("mean", "std"))
    if channels == 1:
        return (sum(mean) / len(mean),), (sum(std) / len(std),)
    return mean, std


def fit_size(name: str, wish: int, *, own_stem: bool) -> tuple[int, dict[str, Any]]:
    """The input size and options that come nearest to images of side `wish`.

    With `own_stem` (weights are to be loaded) only what keeps timm's parameters is tried. When nothing runs at
    that size, the network's own size is the answer.
    """
    if wish != own_size(name):
        tried = [_keeping(name, wish)] if own_stem else _fitting(name, wish)
        for options in tried:
            if _runs(name, wish, options):
                return wish, options
    return own_size(name), {}


def _keeping(name: str, size: int) -> dict[str, Any]:
    return {"img_size": size} if config(name).get("fixed_input_size") else {}


def _fitting(name: str, size: int) -> list[dict[str, Any]]:
    """Options to try for training from scratch at `size`, the best first."""
    if size >= own_size(name):
        return [_keeping(name, size)]
    staged = max(1, min(4, round(size / 16)))
    if name.startswith("swin"):
        return [{"img_size": size, "patch_size": staged, "window_size": 4 if size <= 128 else 7}]
    if name.startswith("convnext"):
        return [{"patch_size": staged}]
    if config(name).get("fixed_input_size"):
        patch = max(1, min(16, round(size / 8)))
        return [{"img_size": size, "patch_size": patch}, {"img_size": size}]
    return [{"stem_stride": 1 if size <= 40 else 2}, {}] if size <= 80 else [{}]


def _runs(name: str, size: int, options: dict[str, Any]) -> bool:
    try:
        with torch.device("meta"), torch.no_grad():
            create(name, 2, 3, options).eval()(torch.empty(1, 3, size, size))
    except Exception:  # timm's constructors answer what they cannot do with errors of many kinds
        return False
    return True


def _set_stem(net: Any, stride: int) -> None:  # noqa: ANN401
    """A 3x3 stem of this stride without max-pool (ResNets), or this stride alone (MobileNets, EfficientNets)."""
    if isinstance(net, ResNet) and isinstance(net.conv1, nn.Conv2d):
        wide: Any = net.conv1
        stem: Any = nn.Conv2d(wide.in_channels, wide.out_channels, 3, stride, padding=1, bias=False)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        net.conv1, net.maxpool = stem, nn.Identity()  # type: ignore[assignment]
    elif isinstance(getattr(net, "conv_stem", None), nn.Conv2d):
        net.conv_stem.stride = (stride, stride)
    else:
        raise UsageError("stem_stride: this network's stem is not edgekd's to change", "leave it out")
