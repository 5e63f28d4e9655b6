"""The command table, the one lazy import and the one place that catches. `main` returns the exit code."""

import errno
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from edgekd import __version__, config
from edgekd.cli import options
from edgekd.cli.usage import translate
from edgekd.declaration import Options
from edgekd.errors import CheckpointError, DataError, EdgekdError, Interrupted, MissingDependency, UsageError
from edgekd.ranks import place
from edgekd.report import Silent
from edgekd.runs import Run


@dataclass(frozen=True)
class Command:
    """A row of the table: its options, its help line and the module whose `run` carries it out."""

    config: type[Options]
    text: str
    recipe: Callable[[Any], str]


def _always(name: str) -> Callable[[Any], str]:
    return lambda _: f"recipes.{name}"


def _file_or(name: str, of_files: str) -> Callable[[Any], str]:
    """Deployed files need no torch and have a module of their own (unless the data needs torchvision)."""

    def chosen_recipe(chosen: Any) -> str:  # noqa: ANN401
        file = Path(chosen.model or "")
        data = getattr(chosen, "data", None)
        if data is None and name == "evaluate" and file.suffix == ".onnx":
            data = (Run(file.parent).data_options() or {}).get("data")
        needs_torch = name == "evaluate" and data in config.TORCHVISION_SETS
        return f"runtimes.{of_files}" if file.suffix == ".onnx" and not needs_torch else f"recipes.{name}"

    return chosen_recipe


COMMANDS = {
    "train-teacher": Command(
        config.TrainTeacher, "Train a teacher (or any network) on labels.", _always("train_teacher")
    ),
    "cache-logits": Command(
        config.CacheLogits, "Run a teacher once over all views and keep its logits.", _always("cache_logits")
    ),
    "cache": Command(config.Caches, "List, check, join or remove caches of logits.", _always("cache")),
    "distill": Command(
        config.Distill, "Train a student from a teacher's cached or live knowledge.", _always("distill")
    ),
    "finetune": Command(config.Finetune, "Train a finished run further, also on other data.", _always("finetune")),
    "export": Command(config.Export, "Write a run as ONNX and prove that it computes the same.", _always("export")),
    "profile": Command(config.Profile, "Measure ONNX models here and judge them against a device.", _always("profile")),
    "evaluate": Command(config.Evaluate, "Accuracy of a run or an ONNX file.", _file_or("evaluate", "evaluation")),
    "predict": Command(
        config.Predict, "Classes of image files, by a run or an ONNX file.", _file_or("predict", "prediction")
    ),
    "models": Command(config.Models, "List models with parameters, multiply-adds and input size.", _always("models")),
    "methods": Command(config.Methods, "List distillation methods with what they need.", _always("methods")),
    "devices": Command(config.Devices, "List, show or make device profiles.", _always("devices")),
}
SCALING = {"train-teacher", "cache-logits", "distill", "finetune"}
"""Commands that torchrun may start in several processes."""
COMPLETING = "_EDGEKD_COMPLETE"
"""Set by the shell's completion script."""
PLACE_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
"""Faults of the disk or of permissions, whoever met them: bad input, not a bug."""
EXTRA_OF = {"matplotlib": "report"}


def application(arguments: Sequence[str]) -> typer.Typer:
    """The Typer application made of the table.

    Only commands named in `arguments` get their options: to build hundreds of them would double the time of `--help`.
    """
    app = typer.Typer(
        name="edgekd",
        help="Distil image classifiers for edge devices, and prove that the result fits.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name, row in COMMANDS.items():
        is_meant = name in arguments or COMPLETING in os.environ
        body = options.command(row.config if is_meant else Options, partial(_carry_out, name), row.text)
        app.command(name, cls=options.Command, short_help=row.text)(body)
    return app


def _console(as_json: bool = False, quiet: bool = False) -> Any:  # noqa: ANN401
    """The console, imported only when something is to be shown: rich costs a quarter of `--help`."""
    return importlib.import_module("edgekd.cli.console").Console(as_json=as_json, quiet=quiet)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"edgekd {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="print the version and leave")
    ] = False,
) -> None:
    """Options of edgekd itself."""


class _Finished(Exception):  # noqa: N818 - not an error: carries the exit code out of Typer
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _carry_out(name: str, given: options.Given) -> None:
    row = COMMANDS[name]
    debug = bool(given.get("debug"))
    console = _console(bool(given.get("json")), bool(given.get("quiet")))
    try:
        chosen: Any = options.build(row.config, name, given, {key: each.config for key, each in COMMANDS.items()})
        debug, console = chosen.debug, _console(chosen.json, chosen.quiet)
        if place().world > 1 and (name not in SCALING or getattr(chosen, "dry_run", False)):
            what = f"{name} --dry-run" if name in SCALING else name
            raise UsageError(f"edgekd {what}: runs in one process", "start it without torchrun")
        result = _load(row.recipe(chosen)).run(chosen, console if place().is_first else Silent())
        if place().is_first:
            with _reader_may_go():
                console.result(result)
    except (EdgekdError, OSError, KeyboardInterrupt, SystemExit) as error:
        problem = _in_words(error, row.config)
        if problem is None:
            raise
        raise _Finished(_told(problem, console, debug)) from error
    if result.failure is not None:
        console.failure(result.failure)
        raise _Finished(result.failure.exit_code)


def _in_words(error: BaseException, command: type[Options] = Options) -> EdgekdError | None:
    """The expected failure behind an exception; None for a bug."""
    if isinstance(error, EdgekdError):
        return error
    if isinstance(error, OSError):
        if error.errno not in PLACE_FAULTS:
            return None
        return DataError(
            f"{error.filename or 'standard output, or a file'}: cannot be written ({error.strerror})",
            "make room or give another place",
        )
    if isinstance(error, SystemExit):
        return CheckpointError(
            f"a network's own code ended the program (exit {error.code})", "mend its file; --debug shows the place"
        )
    is_run = "resume" in {each.name for each in fields(command)}
    again = "call the same command again" + (", with --resume once its run is there" if is_run else "")
    return Interrupted("interrupted", again, error.args[0] if error.args else signal.SIGINT)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals wait: an interrupted import leaves half a module, and other errors than the interruption."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _load(recipe: str) -> Any:  # noqa: ANN401
    try:
        with _undisturbed():
            return importlib.import_module(f"edgekd.{recipe}")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "edgekd":
            raise
        extra = EXTRA_OF.get(package, "train")
        raise MissingDependency(f"{package} is not installed", f"pip install 'edgekd[{extra}]'") from error


def _may_speak() -> bool:
    """Whether this process tells the user what went wrong; of several that torchrun started one does."""
    if place().world == 1:
        return True
    # torchrun ends all processes when the first one has failed; the one that speaks must not be cut off.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    return bool(importlib.import_module("edgekd.compute.distributed").may_speak())


def _told(error: EdgekdError, console: Any, debug: bool) -> int:  # noqa: ANN401
    if not _may_speak():
        return error.exit_code
    if debug:
        traceback.print_exc()
    console.failure(error)
    with suppress(OSError):  # stdout may be what failed
        console.json_error(error)
    return error.exit_code


@contextmanager
def _reader_may_go() -> Iterator[None]:
    """The reader of our stdout has gone (`| head`): no error of ours. What Python still holds back goes nowhere."""
    try:
        yield
    except BrokenPipeError:
        _silence(sys.stdout)


def _terminate(number: int, _frame: FrameType | None) -> None:
    # Not an Exception: code that answers any error of a library must not swallow it.
    raise KeyboardInterrupt(number)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code (see errors.py)."""
    try:
        return _main(arguments)
    finally:
        _settle(sys.stdout)
        _settle(sys.stderr)


def _settle(stream: Any) -> None:  # noqa: ANN401
    """Flush a stream; one that cannot take it must not have Python complain, or change the exit code, at the end."""
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        _silence(stream)


def _silence(stream: Any) -> None:  # noqa: ANN401
    """Let a stream, and what it still holds back, go nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _main(arguments: list[str] | None) -> int:
    signal.signal(signal.SIGTERM, _terminate)
    given = sys.argv[1:] if arguments is None else arguments
    code: Any = 0
    try:
        with _reader_may_go():
            code = application(given)(given, standalone_mode=False, prog_name="edgekd")
    except _Finished as finished:
        return finished.code
    except typer.Abort:
        return 130
    except typer.TyperException as error:
        return _told(translate(error, COMMANDS), _console("--json" in given), debug=False)
    except OSError as error:  # stdout, while help or the version was written
        problem = _in_words(error)
        if problem is None:
            raise
        return _told(problem, _console("--json" in given), debug=False)
    except Exception:
        # A bug that all processes have needs one traceback only.
        if _may_speak():
            raise
        return 1
    return code if isinstance(code, int) else 0
