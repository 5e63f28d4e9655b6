"""What `edgekd models` lists: names with parameters, multiply-adds and input size."""

from dataclasses import dataclass
from fnmatch import fnmatch

import timm

from edgekd.errors import EdgekdError, UsageError, nearest
from edgekd.models import timm_nets
from edgekd.models.build import plan
from edgekd.models.cost import measure
from edgekd.models.known import SHORT
from edgekd.models.names import OWN, USUAL, is_former, own_net, resolve, short_names
from edgekd.models.network import Spec
from edgekd.models.shape_names import FORMS
from edgekd.models.usual import Row

FAMILIES = tuple(f"{family}-w" for family in FORMS)


@dataclass(frozen=True)
class _Images:
    """Images that exist only to count for."""

    classes: tuple[str, ...]
    canvas: int
    channels: int = 3
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)


def catalogue(pattern: str | None = None, classes: int = 10, input_size: int | None = None) -> list[Row]:
    """The usual models, or those whose name matches `pattern` (`*` and `?`, else a part of the name).

    `input_size` None means each model's own. A model that cannot be built is left out. Raises UsageError with
    the nearest names when nothing is left.
    """
    names = USUAL if pattern is None else matching(pattern)
    rows = [row for name in names if (row := _row(name, classes, input_size))]
    if not rows:
        known = [*OWN, *SHORT, *timm.list_models()]
        raise UsageError(f"{pattern}: no model of that name can be built", nearest(pattern or "", known))
    return rows


def matching(pattern: str) -> list[str]:
    """Canonical names that the pattern means, own nets first."""
    glob = pattern if any(each in pattern for each in "*?") else f"*{pattern}*"
    shorts = [SHORT[short] for short in SHORT if fnmatch(short, glob)]
    own = [name for name in OWN if fnmatch(name, glob)]
    exact = [resolve(pattern)] if is_former(pattern) or pattern.startswith(FAMILIES) else []
    return list(dict.fromkeys([*exact, *own, *shorts, *timm.list_models(glob)]))


def _row(name: str, classes: int, input_size: int | None) -> Row | None:
    labels = tuple(str(number) for number in range(classes))
    own = own_net(name)
    own_size = timm_nets.own_size(name) if own is None else own.input_size
    images = _Images(labels, input_size or own_size)
    try:
        spec: Spec = plan(resolve(name), images)
        cost = measure(spec)
    except (EdgekdError, RuntimeError, TypeError, ValueError, AssertionError, AttributeError, NotImplementedError):
        return None
    return Row(
        name=name,
        short_names=short_names(name),
        parameters=cost.parameters,
        folded_parameters=cost.folded_parameters,
        stored_parameters=cost.stored_parameters,
        macs=cost.macs,
        input_size=spec.input_size,
        source="timm" if own is None else "edgekd",
    )
