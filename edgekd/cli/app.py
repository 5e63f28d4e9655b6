"""The one lazy import and the one place that catches. `main` returns the exit code."""

import errno
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from functools import partial
from types import FrameType
from typing import Annotated, Any

import typer

from edgekd import __version__
from edgekd.cli import options
from edgekd.cli.commands import COMMANDS
from edgekd.cli.usage import translate
from edgekd.declaration import Options
from edgekd.errors import CheckpointError, DataError, EdgekdError, Interrupted, MissingDependency, UsageError
from edgekd.ranks import place
from edgekd.report import Silent
from edgekd.shortage import shortage
from edgekd.writing import undisturbed

SCALING = {"train-teacher", "cache-logits", "distill", "finetune"}
"""Commands that torchrun may start in several processes."""
COMPLETING = "_EDGEKD_COMPLETE"
"""Set by the shell's completion script."""
PLACE_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
"""Faults of the disk or of permissions, whoever met them: bad input, not a bug."""
EXTRA_OF = {"matplotlib": "report", "jinja2": "report", "optuna": "search"}


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


def _check_beforehand(chosen: Options) -> None:
    importlib.import_module("edgekd.cli.beforehand").check_beforehand(chosen)


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
        _check_beforehand(chosen)
        result = _load(row.recipe(chosen)).run(chosen, console if place().is_first else Silent())
        if place().is_first:
            with _reader_may_go():
                console.result(result)
    except (EdgekdError, OSError, MemoryError, RuntimeError, ImportError, KeyboardInterrupt, SystemExit) as error:
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
    if (lacking := shortage(error)) is not None:
        return lacking
    if isinstance(error, RuntimeError | ImportError):
        return None
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


def _load(recipe: str) -> Any:  # noqa: ANN401
    try:
        # an interrupted import leaves half a module, and other errors than the interruption
        with undisturbed():
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
    """A closed stdout (`| head`) is not an error; discard what Python still buffers."""
    try:
        yield
    except BrokenPipeError:
        _silence(sys.stdout)


_received: list[int] = []
"""Signals that came, in order."""


def _terminate(number: int, _frame: FrameType | None) -> None:
    _received.append(number)
    # Not an Exception: code that answers any error of a library must not swallow it.
    raise KeyboardInterrupt(number)


def _interrupted() -> int:
    """The exit code of the signal that came last; the parser makes 130 of any."""
    return 128 + (_received or [signal.SIGINT])[-1]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code (see errors.py)."""
    try:
        try:
            return _main(arguments)
        finally:
            _settle(sys.stdout)
            _settle(sys.stderr)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        lacking = shortage(error)
        if lacking is None:
            raise
        # not by the console: it may be what could not be loaded
        print(f"error: {lacking.problem}\n  try: {lacking.hint}", file=sys.stderr)  # noqa: T201
        return lacking.exit_code


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
    _received.clear()
    for each in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, _terminate)
    given = sys.argv[1:] if arguments is None else arguments
    code: Any = 0
    try:
        with _reader_may_go():
            code = application(given)(given, standalone_mode=False, prog_name="edgekd")
    except _Finished as finished:
        return finished.code
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
    if code == 130:
        return _interrupted()
    return code if isinstance(code, int) else 0
