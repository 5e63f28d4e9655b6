"""The user's own network: a function in a Python file that returns an nn.Module."""

import hashlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from edgekd.config import Code
from edgekd.errors import CheckpointError, UsageError, nearest

KEYWORDS = ("classes", "channels", "input_size")
_RUN: set[tuple[Path, str]] = set()
"""Files, with their SHA-256, that were run in this process."""


def build_own(name: str, recorded: str | None, code: Code, sizes: tuple[int, int, int]) -> nn.Module:
    """The network that `path.py:function` returns for (classes, channels, input_size), tried once on an empty image.

    The function gets those of `classes`, `channels` and `input_size` that it names, else `classes` alone. The file
    runs only when `code` names or trusts it and its SHA-256 is the `recorded` one; what ran once in this process may
    run again. Raises UsageError when file or function is missing, CheckpointError when the file must not run or the
    network is not as it should be.
    """
    classes, channels, input_size = sizes
    make = _find(name, recorded, code)
    net = _told(name, lambda: _call(make, dict(zip(KEYWORDS, sizes, strict=True))))
    if not isinstance(net, nn.Module):
        raise CheckpointError(f"{name}: returned {type(net).__name__}, not a torch.nn.Module", "return the network")
    if not any(each.requires_grad for each in net.parameters()):
        raise CheckpointError(f"{name}: has no parameters to train", "make its layers attributes of the module")
    logits = _told(name, lambda: _try(net, torch.zeros(2, channels, input_size, input_size)))
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != (2, classes):
        got = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise CheckpointError(
            f"{name}: two images gave {got} instead of logits [2, {classes}]",
            f"make the last layer give {classes} classes",
        )
    if not logits.requires_grad:
        raise CheckpointError(f"{name}: its output does not depend on its parameters", "return what its layers give")
    return net


def own_sum(name: str) -> str:
    """SHA-256 of the file that `path.py:function` names; raises UsageError when it is missing."""
    return hashlib.sha256(_read(Path(name.rsplit(":", 1)[0]))).hexdigest()


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise UsageError(f"{path}: no such file", "give ./net.py:function")
    return path.read_bytes()


def _check(path: Path, source: bytes, recorded: str | None, code: Code) -> None:
    """Raise CheckpointError when this file must not run."""
    found = hashlib.sha256(source).hexdigest()
    if recorded is None:
        raise CheckpointError(
            f"{path}: its code is not run: the record that names it has no hash of it",
            "train the network again with this edgekd",
        )
    if recorded != found:
        raise CheckpointError(
            f"{path}: its code is not run: it has changed since the network was made", "restore it, or train it again"
        )
    if (path, found) not in _RUN and not code.trust_code and not code.is_named(path):
        raise CheckpointError(
            f"{path}: its code is not run: a record names it, the command does not",
            "read it, then add --trust-code to run it",
        )
    _RUN.add((path, found))


def load_own(path: Path, recorded: str | None, code: Code) -> ModuleType:
    """The file as a module, once it is sure that it may run; raises UsageError and CheckpointError as `build_own`."""
    source = _read(path)
    _check(path, source, recorded, code)
    module = ModuleType(f"edgekd_own_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    # not the importer: it would run bytes that a cache beside the file holds, of which nothing is known
    _told(str(path), lambda: exec(compile(source, str(path), "exec"), vars(module)))
    return module


def _find(name: str, recorded: str | None, code: Code) -> Callable[..., Any]:
    path, function = Path(name.rsplit(":", 1)[0]), name.rsplit(":", 1)[1]
    module = load_own(path, recorded, code)
    found = getattr(module, function, None)
    if not callable(found):
        functions = [each for each, value in vars(module).items() if inspect.isfunction(value)]
        raise UsageError(f"{path}: has no function {function}", nearest(function, functions))
    return found  # type: ignore[no-any-return]


def _call(make: Callable[..., Any], values: dict[str, int]) -> Any:  # noqa: ANN401
    asked = inspect.signature(make).parameters.values()
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in asked):
        return make(**values)
    named = {each.name: values[each.name] for each in asked if each.name in values}
    return make(**named) if named else make(values["classes"])


@torch.enable_grad()
def _try(net: nn.Module, images: torch.Tensor) -> Any:  # noqa: ANN401
    training = net.training
    logits = net.eval()(images.to(next(net.parameters()).device))
    net.train(training)
    return logits


def _told(name: str, step: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Run the user's code; whatever it raises, also SystemExit, is reported with its file and line."""
    try:
        return step()
    except (Exception, SystemExit) as error:
        frames = inspect.getinnerframes(error.__traceback__) if error.__traceback__ else []
        own = [frame for frame in frames if frame.filename == name.rsplit(":", 1)[0]]
        place = f" at line {own[-1].lineno}" if own else ""
        raise CheckpointError(
            f"{name}: {type(error).__name__}{place}: {error}", "mend the file; --debug shows the traceback"
        ) from error
