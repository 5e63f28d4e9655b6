"""Weights read from files and put into networks, with what does not fit told in words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from edgekd.config import Code
from edgekd.errors import CheckpointError, UsageError
from edgekd.models.build import Start, build, head_name
from edgekd.models.network import Images, Network

State = dict[str, Tensor]
WRAPPINGS = ("state_dict", "model", "model_state_dict", "net", "student")
PREFIXES = ("module.", "_orig_mod.", "backbone.", "model.")
"""What wrappers put before all names."""
COUNTER = "num_batches_tracked"
"""A batch norm's, of which weights from before torch 0.4.1 know nothing; nothing is computed from it."""


def load_weights(path: Path) -> State:
    """The tensors of somebody's .safetensors, .pt or .pth file, without wrappings, by the names they have there.

    Raises CheckpointError when the file is missing, cut, of another kind, or holds no weights.
    """
    return _read(path)


def restore_weights(network: Network, path: Path) -> None:
    """Put a run's own weights back into its network, name by name; raises CheckpointError when they do not fit."""
    state = _read(path)
    _check(network, str(path), _misfit(network.backbone.state_dict(), state))
    network.backbone.load_state_dict(state)


def _read(path: Path) -> State:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such weight file", "give a .safetensors, .pt or .pth file")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else _load_torch(path)
    except Exception as error:  # the unpickler answers a file of another kind with errors of any kind
        raise CheckpointError(
            f"{path}: cannot be read as weights ({path.stat().st_size:,} bytes; cut short, or another kind of file)",
            "give a whole .safetensors file, or a .pt/.pth file that holds only a state dict",
        ) from error
    if not state:
        raise CheckpointError(f"{path}: holds no weights", "save the network's state_dict()")
    return state


def _load_torch(path: Path) -> State:
    loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    for _ in range(2):
        for key in WRAPPINGS:
            if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
                loaded = loaded[key]
    if not isinstance(loaded, Mapping):
        return {}
    return {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}


def _as_named_in(network: Network, state: State) -> State:
    """The weights by the network's own names: prefixes that all of them have go, unless they are names of its own."""
    own = network.backbone.state_dict()
    while not any(name in own for name in state):
        prefix = next((each for each in PREFIXES if all(name.startswith(each) for name in state)), None)
        if prefix is None:
            break
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def apply_weights(network: Network, state: State, origin: str) -> None:
    """Put weights into the network; every name and shape must fit.

    Raises CheckpointError that names the number of classes, or the first names and shapes that differ.
    """
    state = _as_named_in(network, state)
    found, wanted = classes_in(network, state), len(network.spec.classes)
    if found not in (None, wanted) and not _misfit(*_bodies(network, state)):
        raise CheckpointError(
            f"{origin}: its classifier has {found} classes, the data has {wanted}",
            "give weights of the same classes, or data of theirs",
        )
    _check(network, origin, _misfit(network.backbone.state_dict(), state))
    network.backbone.load_state_dict(state, strict=False)


def apply_body(network: Network, state: State, origin: str) -> None:
    """Put all weights but the classifier's into the network, so that a head can be fitted.

    Raises CheckpointError like `apply_weights`.
    """
    state = _as_named_in(network, state)
    _check(network, origin, _misfit(*_bodies(network, state)))
    network.backbone.load_state_dict(_bodies(network, state)[1], strict=False)


def classes_in(network: Network, state: State) -> int | None:
    """How many classes the classifier in these weights has; None when it is not there by that name."""
    try:
        head = _as_named_in(network, state).get(f"{head_name(network.backbone)}.weight")
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
        problems.append(_misfit(*_bodies(network, _as_named_in(network, state))))
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


def _misfit(own: State, given: State) -> str:
    """What first differs between a network's state and the given weights, in words; empty when they fit."""
    own = {name: value for name, value in own.items() if name in given or not name.endswith(COUNTER)}
    missing = [name for name in own if name not in given]
    strange = [name for name in given if name not in own]
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
