"""The only printer: progress, notes and errors on stderr, the result on stdout (a table, or one JSON object)."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console as RichConsole
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.table import Table as RichTable
from rich.text import Text

from edgekd.errors import EdgekdError
from edgekd.report import Cell, Progress, Result, Table

SECONDS_BETWEEN_LINES = 30.0
"""How often a stage speaks where no bar can be drawn."""


class _Out(RichConsole):
    """rich would end the process with exit code 1 when the reader of a pipe has gone; cli/app.py decides that."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


WIDE = 400
"""Columns of a table in a file or pipe, where nothing needs to wrap."""


class Console:
    """The Reporter of the command line."""

    def __init__(self, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.err = RichConsole(stderr=True, highlight=False)
        is_bounded = (sys.stdout is not None and sys.stdout.isatty()) or "COLUMNS" in os.environ
        self.out = _Out(highlight=False, width=None if is_bounded else WIDE)

    def say(self, text: str) -> None:
        """One line on stdout."""
        self.out.print(Text(text), soft_wrap=True)

    def note(self, text: str) -> None:
        """One line on stderr, unless quiet."""
        if not self.quiet:
            self.err.print(Text(text, style="dim"), soft_wrap=True)

    def warn(self, text: str) -> None:
        """One warning on stderr."""
        self.err.print(Text.assemble(("warning: ", "yellow"), text), soft_wrap=True)

    def failure(self, error: EdgekdError) -> None:
        """The two lines of an expected error, on stderr."""
        self.err.print(Text.assemble(("error: ", "bold red"), error.problem), soft_wrap=True)
        self.err.print(Text.assemble(("  try: ", "bold"), error.hint), soft_wrap=True)

    def json_error(self, error: EdgekdError) -> None:
        """With --json, stdout is one JSON object for a failure too."""
        if self.as_json:
            told = {"problem": error.problem, "hint": error.hint, "exit_code": error.exit_code}
            self._write_json({"error": told})

    def epoch(self, row: Mapping[str, Cell]) -> None:
        """One line per finished epoch, on stderr."""
        self.note("  ".join(f"{key} {_formatted(value)}" for key, value in row.items()))

    def result(self, result: Result) -> None:
        """The result on stdout."""
        if self.as_json:
            self._write_json(result.data)
            return
        for table in result.tables:
            self.out.print(Text(table.title, style="bold"), soft_wrap=True)
            for drawn in _drawn(table, self.out.width):
                self.out.print(drawn)
        for line in result.lines:
            self.say(line)

    def _write_json(self, value: Mapping[str, Any]) -> None:
        sys.stdout.write(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str) + "\n")
        sys.stdout.flush()

    @contextmanager
    def stage(self, title: str, total: int | None = None, unit: str = "") -> Iterator[Progress]:
        """A bar with ETA on a terminal; elsewhere a line now and then."""
        if self.quiet:
            yield _Lines(self, title, None, unit, silent=True)
        elif not self.err.is_terminal:
            yield _Lines(self, title, total, unit)
        else:
            with RichProgress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TextColumn("{task.fields[unit]} {task.fields[values]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self.err,
                transient=True,
                # drawing takes a few milliseconds of the processor that trains
                refresh_per_second=2,
                expand=True,
            ) as bar:
                yield _Bar(bar, bar.add_task(title, total=total, unit=unit, values=""))


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
        self.bar.update(self.task, values=" ".join(f"{key} {_formatted(value)}" for key, value in values.items()))


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
        text = f"{self.title}: {self.done} {self.unit}"
        if self.total:
            seconds = (now - self.started) / (self.done - self.before) * (self.total - self.done)
            text = f"{self.title}: {self.done} of {self.total} {self.unit}, about {seconds:.0f} s left"
        self.console.note(text)

    def show(self, **values: float) -> None:
        """Nothing: the epoch lines carry the figures."""


def _drawn(table: Table, width: int) -> Iterator[RichTable]:
    """The table, or where it is wider than the terminal, one two-column table per row."""
    cells = [[_formatted(cell) for cell in row] for row in table.rows]
    widths = [max(map(len, column)) for column in zip(table.columns, *cells, strict=True)]
    if len(table.columns) < 3 or sum(widths) + 2 * (len(widths) - 1) <= width:
        numeric = [all(not isinstance(cell, str) for cell in column) for column in zip(*table.rows, strict=True)]
        yield _grid(table.columns, cells, numeric or [False] * len(table.columns))
        return
    for row in cells:
        yield _grid(("", ""), list(zip(table.columns, row, strict=True)), [False, False])


def _grid(columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> RichTable:
    drawn = RichTable(box=None, pad_edge=False)
    drawn.show_header = any(columns)
    for name, to_right in zip(columns, right, strict=True):
        drawn.add_column(name, justify="right" if to_right else "left", overflow="fold")
    for row in cells:
        drawn.add_row(*(Text(cell) for cell in row))
    return drawn


def _formatted(value: Cell) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return value
