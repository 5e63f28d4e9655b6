"""Weights read from files and put into networks, with what does not fit told in words."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save

from edgekd.config import Code
from edgekd.errors import CheckpointError, UsageError
from edgekd.models.build import Start, build, head_name
from edgekd.models.checkpoints import State, read_tensors
from edgekd.models.network import Images, Network

WRAPPINGS = ("", "state_dict", "model", "model_state_dict", "net")
"""Where a file's weights mostly stand."""
AVERAGED = re.compile(r"(^|[._])ema([._]|$)")
"""What says that weights are averaged ones, as `state_dict_ema`, `model_ema`, `ema.module`."""
_NUMBER = re.compile(r"\d+")
SHOWN, MOST_SHOWN = 3, 6
"""How many left-over names are listed: of a group, and in all."""
COUNTER = "num_batches_tracked"
"""A batch norm's, of which weights from before torch 0.4.1 know nothing; nothing is computed from it."""


def load_weights(path: Path) -> State:
    """The tensors of a .safetensors, .pt or .pth file by the names they have there; nothing in it is run.

    Raises CheckpointError when the file is missing, cut, of another kind, or holds no weights.
    """
    return _read(path)


def restore_weights(network: Network, path: Path) -> None:
    """Put a run's own weights back into its network, name by name; raises CheckpointError when they do not fit."""
    state = _read(path)
    _check(network, str(path), _misfit(network.backbone.state_dict(), state, all_known=True))
    network.backbone.load_state_dict(state)


def _read(path: Path) -> State:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such weight file", "give a .safetensors, .pt or .pth file")
    try:
        state = read_tensors(path)
    except Exception as error:  # the unpickler answers a file of another kind with errors of any kind
        raise CheckpointError(
            f"{path}: cannot be read as weights ({path.stat().st_size:,} bytes; cut short, or another kind of file)",
            "give a whole .safetensors file, or a .pt/.pth file with a state dict",
        ) from error
    if not state:
        raise CheckpointError(
            f"{path}: holds no weights by name", "save the network's state_dict(), not the network itself"
        )
    return state


@dataclass(frozen=True)
class Fitted:
    """Weights by the network's own names, the prefix they have in the file, and names there that were not taken."""

    state: State
    prefix: str
    left: tuple[str, ...]

    def words(self, origin: str, head: str) -> list[str]:
        """Notes on averaged weights that were preferred, and on what was left over (but for the classifier)."""
        place = self.prefix.removesuffix(".")
        notes = [f"{origin}: its averaged weights ({place}) are taken"] if AVERAGED.search(place) else []
        left = [name for name in self.left if not name.startswith(f"{self.prefix}{head}.")]
        groups = Counter(name.partition(".")[0] for name in left)
        several = {group for group, count in groups.items() if count > SHOWN}
        shown = [f"{group}.* ({groups[group]} tensors)" for group in groups if group in several]
        shown += [name for name in left if name.partition(".")[0] not in several]
        if shown:
            more = f" and {len(shown) - MOST_SHOWN} more" if len(shown) > MOST_SHOWN else ""
            notes.append(f"{origin}: not taken: {', '.join(shown[:MOST_SHOWN])}{more}")
        return notes


def _fit(network: Network, state: State) -> Fitted:
    """The weights under the prefix that has most of the network's names; of equal ones the averaged, then the usual."""
    own = network.backbone.state_dict()
    prefixes: Counter[str] = Counter()
    for name in state:
        starts = [0, *(found.end() for found in re.finditer(r"\.", name))]
        prefixes.update(name[:start] for start in starts if name[start:] in own and not name.endswith(COUNTER))
    most = max(prefixes.values(), default=0)
    tied = [prefix for prefix, count in prefixes.items() if count == most] or [""]
    prefix = min(tied, key=lambda each: (not AVERAGED.search(each), each.partition(".")[0] not in WRAPPINGS))
    found = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    taken = {f"{prefix}{name}" for name in own}
    return Fitted(found, prefix, tuple(name for name in state if name not in taken))


def apply_weights(network: Network, state: State, origin: str) -> list[str]:
    """Put weights into the network; all of its names and shapes must be there. Returns notes on what was taken.

    Raises CheckpointError that names the number of classes, or the first names and shapes that differ.
    """
    fitted = _fit(network, state)
    state = fitted.state
    found, wanted = classes_in(network, state), len(network.spec.classes)
    if found not in (None, wanted) and not _misfit(*_bodies(network, state)):
        raise CheckpointError(
            f"{origin}: its classifier has {found} classes, the data has {wanted}",
            "give weights of the same classes, or data of theirs",
        )
    _check(network, origin, _misfit(network.backbone.state_dict(), state))
    network.backbone.load_state_dict(state, strict=False)
    return fitted.words(origin, "")


def apply_body(network: Network, state: State, origin: str) -> list[str]:
    """Put all weights but the classifier's into the network, so that a head can be fitted.

    Raises CheckpointError like `apply_weights`.
    """
    fitted = _fit(network, state)
    own, body = _bodies(network, fitted.state)
    _check(network, origin, _misfit(own, body))
    network.backbone.load_state_dict(body, strict=False)
    return fitted.words(origin, head_name(network.backbone))


def classes_in(network: Network, state: State) -> int | None:
    """How many classes the classifier in these weights has; None when it is not there by that name."""
    try:
        head = _fit(network, state).state.get(f"{head_name(network.backbone)}.weight")
    except UsageError:
        return None
    return None if head is None else int(head.shape[0])


def build_for(
    name: str, images: Images, state: State, origin: str, *, input_size: int | None = None, code: Code | None = None
) -> Network:
    """The network that these weights belong to, still with fresh weights.

    A timm model's weights may be of its own size and stem or of edgekd's for small images: the shapes tell.
    Raises CheckpointError when neither fits, told for the first.
    """
    starts: tuple[Start, ...] = ("weights", "scratch")
    problems = []
    for start in starts:
        network = build(name, images, input_size=input_size, start=start, code=code)
        problems.append(_misfit(*_bodies(network, _fit(network, state).state)))
        if not problems[-1]:
            return network
    _check(network, origin, problems[0])
    return network


def _bodies(network: Network, state: State) -> tuple[State, State]:
    """The network's own state and the weights, both without the classifier."""
    prefix = f"{head_name(network.backbone)}."
    own, given = (
        {name: value for name, value in each.items() if not name.startswith(prefix)}
        for each in (network.backbone.state_dict(), state)
    )
    return own, given


def _check(network: Network, origin: str, problem: str) -> None:
    if problem:
        raise CheckpointError(
            f"{origin}: not weights of {network.spec.name} ({problem})",
            "name the model these weights were trained as (--model, --teacher or --student)",
        )


def _misfit(own: State, given: State, *, all_known: bool = False) -> str:
    """What first differs between a network's state and the given weights, in words; empty when they fit.

    Names that the network lacks are of no account, unless there are more of a kind that it has (a deeper network).
    """
    own = {name: value for name, value in own.items() if name in given or not name.endswith(COUNTER)}
    missing = [name for name in own if name not in given]
    kinds = {_NUMBER.sub("#", name) for name in own}
    strange = [name for name in given if name not in own and (all_known or _NUMBER.sub("#", name) in kinds)]
    words = [f"{len(missing)} missing, first {missing[0]}"] if missing else []
    words += [f"{len(strange)} unknown, first {strange[0]}"] if strange else []
    for name in own:
        if not words and given[name].shape != own[name].shape:
            words.append(f"{name} is {list(given[name].shape)} instead of {list(own[name].shape)}")
    return "; ".join(words)


def save_weights(network: Network, path: Path) -> None:
    """Write the plain network's weights as safetensors; loadable without edgekd."""
    # copies, since safetensors refuses what layers share
    state = {name: value.detach().cpu().contiguous().clone() for name, value in network.backbone.state_dict().items()}
    # not save_file: it leaves a file that only its owner may read, and tells of a full disk in its own way
    path.write_bytes(save(state))
