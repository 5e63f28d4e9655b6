"""What files and tables alone show to be wrong is refused here, before torch is imported."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from edgekd import config as options
from edgekd.cache.folder import find_cache
from edgekd.declaration import Options, flag
from edgekd.errors import CheckpointError
from edgekd.images.named import check_data
from edgekd.methods import METHODS, check_method, is_own_method
from edgekd.models.finished import check_a_teacher, student_run, teacher_place, teachers_named
from edgekd.models.known import check_model
from edgekd.profiling.device.profiles import find_device
from edgekd.runs import plain_name
from edgekd.runtimes.suffixes import is_model_file
from edgekd.training.claim import claim


def check_beforehand(config: Options) -> None:
    """Check every option of the table that is given, and the run that is taken where none is named.

    Raises what the command itself would raise later. A run that is resumed has options of its own, checked then.
    """
    is_resumed = getattr(config, "resume", False)
    for each in fields(config):
        value = getattr(config, each.name)
        check = CHECKS.get(each.name)
        if check is not None and value not in (None, (), "") and (not is_resumed or each.name == "name"):
            check(value, config, f"--{flag(each.name)}")
    if not is_resumed:
        _check_left_open(config)


def _model(value: str, config: Any, option: str) -> None:  # noqa: ANN401
    """A network to build, or, where it is an argument, a run to start from."""
    if isinstance(config, options.TrainTeacher):
        check_model(value, option)
    elif not is_model_file(Path(value)) and not isinstance(config, options.Report):
        student_run(value, config.runs)


def _peers(value: tuple[str, ...], _config: Any, option: str) -> None:  # noqa: ANN401
    for name in (name for names in value for name in names.split(",")):
        check_model(name, option)


def _teacher(value: str, config: Any, option: str) -> None:  # noqa: ANN401
    if isinstance(config, options.Search):
        student_run(value, config.runs)
        return
    names = [name for name, _ in teachers_named(config)] if isinstance(config, options.Distill) else []
    for name in names or [value]:
        if teacher_place(name, config, config.runs) is None:
            check_model(name, option)


def _caches(value: tuple[str, ...], config: Any, _option: str) -> None:  # noqa: ANN401
    for text in value:
        find_cache(config.caches, options.weighed(text, "cache")[0])


def _weights(value: Path, _config: Any, option: str) -> None:  # noqa: ANN401
    if not value.is_file():
        raise CheckpointError(f"{option} {value}: no such weight file", "give a .safetensors, .pt or .pth file")


def _device(value: str, _config: Any, _option: str) -> None:  # noqa: ANN401
    find_device(value)


def _name(value: str, config: Any, _option: str) -> None:  # noqa: ANN401
    """A run's name is free (several runs of one command find out by themselves), a cache's is a folder's."""
    is_several = getattr(config, "dry_run", False) or getattr(config, "compare_alone", False)
    is_several |= getattr(config, "seeds", 1) > 1 or getattr(config, "generations", 1) > 1
    if isinstance(config, options.Run) and not is_several:
        claim(config.runs, value, resume=config.resume, overwrite=config.overwrite)
    elif isinstance(config, options.Run | options.CacheLogits):
        plain_name(value)


def _check_left_open(config: Any) -> None:  # noqa: ANN401
    """The run that a command takes by itself is there."""
    if isinstance(config, options.Finetune | options.Export | options.Evaluate | options.Report):
        if config.model is None:
            student_run(None, config.runs)
    elif isinstance(config, options.Teacher) and config.teacher is None and config.teacher_weights is None:
        others = ("cache", "peers", "import_")
        asks = not any(getattr(config, each, None) for each in others)
        method = getattr(config, "method", "kd")
        if asks and not is_own_method(method) and METHODS[method].teacher:
            check_a_teacher(config.runs)  # type: ignore[attr-defined]


CHECKS: dict[str, Callable[[Any, Any, str], None]] = {
    "data": lambda value, _config, _option: check_data(value),
    "model": _model,
    "student": lambda value, _config, option: check_model(value, option),
    "peers": _peers,
    "teacher": _teacher,
    "method": lambda value, _config, option: check_method(value, option),
    "for_": lambda value, _config, option: check_method(value, option),
    "weights": _weights,
    "student_weights": _weights,
    "teacher_weights": _weights,
    "cache": _caches,
    "name": _name,
    "device": _device,
}
"""By option: (value, all options, the flag) to nothing, or the error."""
