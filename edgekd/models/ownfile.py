"""The user's own network: a function in a Python file that returns an nn.Module."""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgekd.errors import CheckpointError, UsageError, nearest

KEYWORDS = ("classes", "channels", "input_size")


def build_own(name: str, classes: int, channels: int, input_size: int) -> nn.Module:
    """The network that `path.py:function` returns, tried once on an empty image.

    The function gets those of `classes`, `channels` and `input_size` that it names, else `classes` alone.
    Raises UsageError when file or function is missing, CheckpointError when the network is not as it should be.
    """
    path, function = name.rsplit(":", 1)
    make = _find(Path(path), function)
    net = _told(name, lambda: _call(make, dict(zip(KEYWORDS, (classes, channels, input_size), strict=True))))
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


def _find(path: Path, function: str) -> Callable[..., Any]:
    if not path.is_file():
        raise UsageError(f"{path}: no such file", "give ./net.py:function")
    spec = importlib.util.spec_from_file_location(f"edgekd_own_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: not a Python file", "give ./net.py:function")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    loader = spec.loader
    _told(str(path), lambda: loader.exec_module(module))
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
    """Run the user's code; whatever it raises is told with its place."""
    try:
        return step()
    except Exception as error:
        frames = inspect.getinnerframes(error.__traceback__) if error.__traceback__ else []
        own = [frame for frame in frames if frame.filename == name.rsplit(":", 1)[0]]
        place = f" at line {own[-1].lineno}" if own else ""
        raise CheckpointError(
            f"{name}: {type(error).__name__}{place}: {error}", "mend the file; --debug shows the traceback"
        ) from error
