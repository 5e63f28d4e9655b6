"""Tensors out of a checkpoint file, whatever stands beside them: nothing that the file names is imported or run."""

import pickle
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch._utils import _rebuild_tensor

State = dict[str, Tensor]


class StandIn(dict[Any, Any]):
    """In place of every class or function that is not a tensor's: it can be called, filled and set, and does nothing.

    Items are kept, so that weights in some library's own kind of dictionary are found.
    """

    dump_patches = False

    def __new__(cls, *_: object, **__: object) -> "StandIn":
        """An empty one, whatever it is made of."""
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()

    def __call__(self, *_: object, **__: object) -> "StandIn":
        """What a call of it gives."""
        return StandIn()

    def __setstate__(self, _: object) -> None: ...

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def append(self, _: object) -> None:
        """Take no notice."""

    extend = add = append


class _Safe:
    """One of the few functions that make tensors; unlike a function it has no attributes that a file could set."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401
        return self._function(*arguments)

    def __setstate__(self, _: object) -> None: ...


def _plain(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:  # noqa: ANN401
    tensor: Tensor = _rebuild_tensor(storage, offset, size, stride)  # type: ignore[no-untyped-call]
    return tensor


def _first(tensor: Any, *_: object) -> Any:  # noqa: ANN401
    return tensor


def _of_type(function: Any, _kind: object, arguments: tuple[Any, ...], _state: object) -> Any:  # noqa: ANN401
    return function(*arguments) if isinstance(function, _Safe) else StandIn()


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _Safe(_plain),
    ("torch._utils", "_rebuild_tensor_v2"): _Safe(_plain),
    ("torch._utils", "_rebuild_parameter"): _Safe(_first),
    ("torch._utils", "_rebuild_parameter_with_state"): _Safe(_first),
    ("torch._tensor", "_rebuild_from_type_v2"): _Safe(_of_type),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        """What makes tensors, and a stand-in for anything else."""
        return _KNOWN.get((module, name), StandIn)


def _load(stream: Any, **options: Any) -> Any:  # noqa: ANN401
    return _Unpickler(stream, **options).load()


_PICKLE = SimpleNamespace(__name__="pickle", Unpickler=_Unpickler, load=_load)


def read_tensors(path: Path) -> State:
    """All tensors of a file by their names, nested ones as `outer.inner`; another file raises errors of any kind."""
    if path.suffix == ".safetensors":
        return load_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, TypeError):
            # it refuses a file for anything beside the tensors; this passes over it
            _refuse_programs(path)
            loaded = torch.load(path, map_location="cpu", pickle_module=_PICKLE, weights_only=False)
    return dict(_tensors(loaded, "", set()))


def _refuse_programs(path: Path) -> None:
    """Raise ValueError for what torch would read by other means than the unpickler given."""
    if not zipfile.is_zipfile(path):
        if tarfile.is_tarfile(path):
            raise ValueError("of the time before torch 0.2")
    elif "constants.pkl" in torch._C.PyTorchFileReader(str(path)).get_all_records():
        raise ValueError("a TorchScript program")


def _tensors(value: Any, prefix: str, seen: set[int]) -> Iterator[tuple[str, Tensor]]:  # noqa: ANN401
    """The tensors in nested mappings; a mapping found in several places is reported at the first."""
    if not isinstance(value, Mapping) or id(value) in seen:
        return
    seen.add(id(value))
    for key, each in value.items():
        if isinstance(each, Tensor):
            yield f"{prefix}{key}", each
        else:
            yield from _tensors(each, f"{prefix}{key}.", seen)
