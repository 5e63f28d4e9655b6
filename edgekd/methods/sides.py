"""What a network could give a method, as a `Side`."""

from torch import nn

from edgekd.errors import UsageError
from edgekd.methods.contract import Family, Side
from edgekd.models.build import head_of
from edgekd.models.network import Network
from edgekd.models.outputs import FEATURES, HEADS, LOGITS, POOLED, PREFIX, TAIL
from edgekd.models.tails import tail_of
from edgekd.models.taps import Anatomy, examine

FAMILIES: dict[str, Family] = {
    "swin": "swin",
    "mlp_mixer": "mixer",
    "vision_transformer": "vit",
    "deit": "vit",
    "eva": "vit",
    "beit": "vit",
    "cait": "vit",
    "xcit": "vit",
}
"""How the modules of timm's families begin."""


def side_of(network: Network, samples: int = 0) -> Side:
    """Everything the network could give, found by one pass over an empty image; `samples` as in `Side`."""
    anatomy = examine(network)
    shapes: dict[str, tuple[int, ...]] = {FEATURES + name: tap.shape for name, tap in anatomy.taps.items()}
    shapes |= {PREFIX + name: (tap.prefix, tap.shape[0]) for name, tap in anatomy.taps.items() if tap.prefix}
    gives = {LOGITS, *shapes, *(HEADS + name for name in anatomy.heads)}
    if anatomy.pooled is not None:
        gives.add(POOLED)
        shapes[POOLED] = (anatomy.pooled,)
    tail = tail_of(network, anatomy)
    if tail is not None:
        gives.add(TAIL)
    return Side(
        classes=len(network.spec.classes),
        gives=frozenset(gives),
        shapes=shapes,
        stages=anatomy.stages,
        samples=samples,
        name=network.spec.name,
        family=_family(network, anatomy),
        tail=tail,
        classifier=_classifier(network),
    )


def _family(network: Network, anatomy: Anatomy) -> Family:
    module = type(network.backbone).__module__
    if module.startswith("timm.models."):
        name = module.removeprefix("timm.models.")
        found = next((family for start, family in FAMILIES.items() if name.startswith(start)), None)
        if found is not None:
            return found
    are_maps = bool(anatomy.stages) and all(anatomy.taps[name].layout == "maps" for name in anatomy.stages)
    return "cnn" if are_maps else "other"


def _classifier(network: Network) -> nn.Module | None:
    try:
        return head_of(network.backbone)
    except UsageError:
        return None
