"""How recipes speak while they work (Reporter) and what they hand back (Result). Nothing here prints."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from edgekd.errors import EdgekdError

Cell = str | int | float | bool | None


def in_time(seconds: float) -> str:
    """Seconds as people say them: `0.4 s`, `35 s`, `12 minutes`, `3.5 hours`."""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


class Progress(Protocol):
    """A running stage: how far it is and what it last measured."""

    def advance(self, steps: int = 1, *, before: bool = False) -> None:
        """Count `steps` more units as done; those done `before` this process began tell nothing of its speed."""

    def show(self, **values: float) -> None:
        """Put these latest figures beside the bar."""

    def expect(self, seconds: float) -> None:
        """Tell how long the rest will take, where the work knows it better than its speed so far does."""


class Reporter(Protocol):
    """What a recipe may tell while it works; the console and the tests each have their own."""

    def note(self, text: str) -> None:
        """Say what was chosen or found."""

    def warn(self, text: str) -> None:
        """Say what may spoil the result."""

    def epoch(self, row: Mapping[str, Cell]) -> None:
        """Tell one finished epoch's figures."""

    def stage(self, title: str, total: int | None = None, unit: str = "") -> AbstractContextManager[Progress]:
        """Open a stage of `total` units (None: unknown); leaving it closes the bar."""


@dataclass(frozen=True)
class Table:
    """A closing table: plain cells, formatted by whoever shows it.

    `spare` names columns in the order in which they are left out where there is no room for all.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    spare: Sequence[str] = ()


@dataclass(frozen=True)
class Result:
    """What a recipe hands back: `data` is the JSON object, `tables` and `lines` are for people.

    `failure` is set when the work is done and reported but a check did not hold: it decides the exit code.
    """

    data: Mapping[str, Any]
    tables: Sequence[Table] = ()
    lines: Sequence[str] = ()
    failure: EdgekdError | None = field(default=None)


class Silent:
    """A Reporter that keeps its messages (for the Python API and the tests)."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.epochs: list[dict[str, Cell]] = []

    def note(self, text: str) -> None:
        """Keep the note."""
        self.notes.append(text)

    def warn(self, text: str) -> None:
        """Keep the warning."""
        self.warnings.append(text)

    def epoch(self, row: Mapping[str, Cell]) -> None:
        """Keep the row."""
        self.epochs.append(dict(row))

    @contextmanager
    def stage(self, title: str, total: int | None = None, unit: str = "") -> Iterator[Progress]:
        """A stage that shows nothing."""
        yield _Unseen()


class _Unseen:
    def advance(self, steps: int = 1, *, before: bool = False) -> None:
        """Nothing to show."""

    def show(self, **values: float) -> None:
        """Nothing to show."""

    def expect(self, seconds: float) -> None:
        """Nothing to show."""
