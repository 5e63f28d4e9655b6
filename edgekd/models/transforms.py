"""Changes of a built network that its Spec lists, so that it is built again with them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from edgekd.errors import CheckpointError
from edgekd.models.network import Network
from edgekd.quantization.placement import place_fakes

INT8 = "int8"
"""Batch norms folded, weights and activations rounded to 8 bits."""


def apply_transform(backbone: nn.Module, transform: Mapping[str, Any]) -> nn.Module:
    """The backbone after one transform; raises CheckpointError for one that this edgekd does not know."""
    if transform.get("name") != INT8:
        raise CheckpointError(f"a network with the transform {transform.get('name')!r}", "update edgekd")
    return place_fakes(backbone, int(transform["weight_limit"]))


def transform(network: Network, change: dict[str, Any]) -> None:
    """Change the network in place and list the change in its Spec."""
    network.backbone = apply_transform(network.backbone, change)
    network.spec = replace(network.spec, transforms=(*network.spec.transforms, change))
