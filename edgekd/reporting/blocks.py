"""What a page is made of: sections of tables, plots, pictures and text, the same for HTML and Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgekd.report import Cell, Table


@dataclass(frozen=True)
class Text:
    """Lines of prose; `is_code` for commands."""

    lines: Sequence[str]
    is_code: bool = False
    kind: str = "text"


@dataclass(frozen=True)
class Grid:
    """A table; `heat` [rows][columns] shades its cells, 0-1, None: not at all."""

    table: Table
    heat: Sequence[Sequence[float | None]] = ()
    kind: str = "grid"


@dataclass(frozen=True)
class Plot:
    """A plot by the name of its function in plots.py and that function's arguments; `alt` says what it shows."""

    title: str
    alt: str
    draws: str
    values: Mapping[str, Any]
    kind: str = "plot"


@dataclass(frozen=True)
class Picture:
    """An image as a data URI, with what is known of it."""

    source: str
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side."""

    title: str
    pictures: Sequence[Picture]
    kind: str = "gallery"


Block = Text | Grid | Plot | Gallery


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A whole page; `facts` is the JSON it was made from, put into the HTML unless it is None."""

    title: str
    lead: str
    sections: Sequence[Section]
    facts: Mapping[str, Any] | None = field(default=None)


def shown(value: Cell) -> str:
    """A cell as people read it: four digits of a fraction, thousands set apart."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else value


def percent(value: float | None) -> str | None:
    """A ratio 0-1 as a percentage of two decimals."""
    return None if value is None else f"{value:.2%}"


def number_columns(table: Table) -> list[bool]:
    """Of each column, whether it has nothing but numbers and percentages (and gaps)."""
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    return [bool(column) and all(map(is_number, column)) for column in columns]


def is_number(cell: Cell) -> bool:
    """Whether a cell is set like a number, to the right."""
    is_ratio = isinstance(cell, str) and cell.endswith("%")
    return cell is None or is_ratio or (isinstance(cell, int | float) and not isinstance(cell, bool))
