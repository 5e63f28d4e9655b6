"""The only printer: progress, notes and errors on stderr, the result on stdout (a table, or one JSON object)."""

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from rich.console import Console as RichConsole
from rich.progress import Progress as RichProgress
from rich.progress import ProgressColumn, Task, TaskID
from rich.text import Text

from edgekd.cli.layout import Standing, bar_line, epoch_line, formatted, lay_out, ordinal, wrap
from edgekd.errors import EdgekdError
from edgekd.report import Cell, Progress, Result, Table

SECONDS_BETWEEN_LINES = 30.0
"""How often a stage speaks where no bar can be drawn."""
NARROWEST = 20
"""Columns that are always used."""
MOST_EPOCHS = 40
"""Lines of epochs that one training may take, about."""


class _Out(RichConsole):
    """rich would end the process with exit code 1 when the reader of a pipe has gone; cli/app.py decides that."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class _Unfailing:
    """stderr, which must not end the work when it cannot be written: a full disk, a reader that has gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or do without."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or do without."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._stream, name)


def _columns(stream: TextIO | None) -> int | None:
    """The columns that text on this stream has: COLUMNS where it is a number, else the terminal's; None for any."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return max(NARROWEST, int(given))
    if stream is None or not stream.isatty():
        return None
    with suppress(OSError):
        return max(NARROWEST, os.get_terminal_size(stream.fileno()).columns or 80)
    return 80


def _fixed(stream: TextIO | None) -> int | None:
    """The width that rich must take; None where it may follow the terminal (it would take COLUMNS=0 at its word)."""
    return (_columns(stream) or 80) if "COLUMNS" in os.environ else None


class Console:
    """The Reporter of the command line."""

    def __init__(self, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._epoch = sys.maxsize  # before the first one
        told: Any = None if sys.stderr is None else _Unfailing(sys.stderr)
        self.err = RichConsole(stderr=True, file=told, highlight=False, width=_fixed(sys.stderr))
        self.out = _Out(highlight=False, width=_fixed(sys.stdout))

    def say(self, text: str) -> None:
        """One line on stdout, wrapped between words on a terminal."""
        _write(self.out, Text(text), _columns(sys.stdout))

    def note(self, text: str) -> None:
        """One line on stderr, unless quiet."""
        if not self.quiet:
            self._tell(Text(text, style="dim"))

    def warn(self, text: str) -> None:
        """One warning on stderr."""
        self._tell(Text.assemble(("warning: ", "yellow"), text))

    def failure(self, error: EdgekdError) -> None:
        """The two lines of an expected error, on stderr."""
        self._tell(Text.assemble(("error: ", "bold red"), error.problem))
        self._tell(Text.assemble(("  try: ", "bold"), error.hint))

    def _tell(self, text: Text) -> None:
        _write(self.err, text, _columns(sys.stderr))

    def json_error(self, error: EdgekdError) -> None:
        """With --json, stdout is one JSON object for a failure too."""
        if self.as_json:
            told = {"problem": error.problem, "hint": error.hint, "exit_code": error.exit_code}
            self._write_json({"error": told})

    def epoch(self, row: Mapping[str, Cell]) -> None:
        """One line per finished epoch, or per so many of a long training, on stderr."""
        number, last = (int(row.get(key) or 0) for key in ("epoch", "epochs"))
        spacing = -(-last // MOST_EPOCHS)
        if spacing > 1 and number <= self._epoch:
            self.note(f"every {ordinal(spacing)} epoch is shown; metrics.jsonl in the run's folder has all")
        self._epoch = number
        if spacing <= 1 or number in (1, last) or number % spacing == 0:
            self.note(epoch_line(row, _columns(sys.stderr)))

    def result(self, result: Result) -> None:
        """The result on stdout."""
        if self.as_json:
            self._write_json(result.data)
            return
        for table in result.tables:
            self._table(table)
        for line in result.lines:
            self.say(line)

    def _table(self, table: Table) -> None:
        width = _columns(sys.stdout)
        grid = lay_out(table, width)
        _write(self.out, Text(table.title, style="bold"), width)
        for line in grid.header:
            self.out.print(_printable(Text(line, style="bold"), self.out.encoding), soft_wrap=True)
        for line in grid.lines:
            self.out.print(_printable(Text(line), self.out.encoding), soft_wrap=True)
        if grid.left_out:
            told = f"no room for: {', '.join(grid.left_out)} (--json has them)"
            _write(self.out, Text(told, style="dim"), width)

    def _write_json(self, value: Mapping[str, Any]) -> None:
        text = _escape(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str), "\\\\")
        if not _holds(sys.stdout.encoding, text):
            # JSON's own escapes are ASCII
            text = json.dumps(json.loads(text), indent=2, sort_keys=True)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    @contextmanager
    def stage(self, title: str, total: int | None = None, unit: str = "") -> Iterator[Progress]:
        """A bar with ETA on a terminal; elsewhere a line now and then."""
        if self.quiet:
            yield _Lines(self, title, None, unit, silent=True)
        elif not self.err.is_terminal:
            yield _Lines(self, title, total, unit)
        else:
            # drawing takes a few milliseconds of the processor that trains
            drawn = RichProgress(_Line(), console=self.err, transient=True, refresh_per_second=2, expand=True)
            with drawn as bar:
                yield _Bar(bar, bar.add_task(title, total=total, unit=unit, values={}, expected=None))


def _escape(text: str, mark: str) -> str:
    """Bytes of names that are not UTF-8 (lone surrogates to Python) as `\xe9`, after one `mark`, a backslash or two."""
    return re.sub("[\udc80-\udcff]", lambda byte: f"{mark}x{ord(byte[0]) - 0xDC00:02x}", text)


def _holds(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _printable(text: Text, encoding: str) -> Text:
    """The text with what the stream cannot show escaped; its style as a whole is kept."""
    plain = text.plain
    if _holds(encoding, plain):
        return text
    shown = _escape(plain, "\\").encode(encoding, "backslashreplace").decode(encoding)
    return Text(shown, style=text.style)


def _write(console: RichConsole, text: Text, width: int | None) -> None:
    """Print styled text in lines of whole words."""
    text = _printable(text, console.encoding)
    lines = wrap(text.plain, width)
    if len(lines) == 1:
        console.print(text, soft_wrap=True)
        return
    start = 0
    for line in lines:
        bare = line.strip() if start else line
        start = text.plain.index(bare, start)
        shown = text[start : start + len(bare)]
        console.print(Text(line[: len(line) - len(bare)]) + shown, soft_wrap=True)
        start += len(bare)


class _Line(ProgressColumn):
    """The whole line of a stage, made for the width of the moment."""

    def render(self, task: Task) -> Text:
        """Count, bar, figures, time left."""
        left = task.time_remaining
        if task.fields["expected"] is not None:
            seconds, at = task.fields["expected"]
            left = max(0.0, seconds - (time.monotonic() - at))
        standing = Standing(
            task.description,
            int(task.completed),
            None if task.total is None else int(task.total),
            task.fields["unit"],
            task.fields["values"],
            task.elapsed or 0.0,
            left,
        )
        width = (_columns(sys.stderr) or 80) - 1
        marks = ("━", "─") if "utf" in (getattr(sys.stderr, "encoding", None) or "").lower() else ("#", "-")
        return Text(bar_line(standing, width, *marks), no_wrap=True, overflow="crop")


class _Bar:
    def __init__(self, bar: RichProgress, task: TaskID) -> None:
        self.bar = bar
        self.task = task

    def advance(self, steps: int = 1, *, before: bool = False) -> None:
        """Move the bar."""
        if before:
            self.bar.reset(self.task, completed=steps)
        else:
            self.bar.advance(self.task, steps)

    def show(self, **values: float) -> None:
        """Put the figures behind the bar."""
        self.bar.update(self.task, values=values)

    def expect(self, seconds: float) -> None:
        """Show this as the time left, counting down."""
        self.bar.update(self.task, expected=(seconds, time.monotonic()))


class _Lines:
    """A stage without a terminal: speaks at most every half minute, with the time left."""

    def __init__(self, console: Console, title: str, total: int | None, unit: str, silent: bool = False) -> None:
        self.console = console
        self.title = title
        self.total = total
        self.unit = unit
        self.silent = silent
        self.done = self.before = 0
        self.started = self.spoken = time.monotonic()
        self.expected: tuple[float, float] | None = None

    def advance(self, steps: int = 1, *, before: bool = False) -> None:
        """Count, and speak when it is time to."""
        self.done += steps
        if before:
            self.before += steps
            return
        now = time.monotonic()
        if self.silent or now - self.spoken < SECONDS_BETWEEN_LINES:
            return
        self.spoken = now
        text = f"{self.title}: {formatted(self.done)} {self.unit}"
        if self.total:
            count = f"{formatted(self.done)} of {formatted(self.total)}"
            text = f"{self.title}: {count} {self.unit}, about {formatted(round(self._left(now, self.total)))} s left"
        self.console.note(text)

    def _left(self, now: float, total: int) -> float:
        if self.expected is not None:
            seconds, at = self.expected
            return max(0.0, seconds - (now - at))
        return (now - self.started) / (self.done - self.before) * (total - self.done)

    def show(self, **values: float) -> None:
        """Nothing: the epoch lines carry the figures."""

    def expect(self, seconds: float) -> None:
        """Speak of this as the time left."""
        self.expected = (seconds, time.monotonic())
