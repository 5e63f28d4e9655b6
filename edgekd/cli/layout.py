"""Text within so many columns: numbers, wrapped lines, tables, epoch lines, bars. Words stay whole. Prints nothing."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import cell_len

from edgekd.report import Cell, Table

GAP = "  "
LEAST_BAR = 8
"""A shorter bar tells nothing, so there is none."""
LARGE = 1000.0
"""From here on fractions are not shown."""


def formatted(value: Cell) -> str:
    """A cell as people read it: four digits of a fraction, thousands set apart, no exponents but for tiny numbers."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _fraction(value)
    return (f"{value:,}" if abs(value) >= 10_000 else str(value)) if isinstance(value, int) else value


def _fraction(value: float) -> str:
    if not abs(value) < float("inf"):
        return str(value)
    if abs(value) >= LARGE - 0.05:
        return formatted(round(value))
    return f"{value:.2e}" if 0 < abs(value) < 1e-4 else f"{value:.4g}"


def wrap(text: str, width: int | None, indent: str = "  ") -> list[str]:
    """Lines of at most `width` columns, the later ones indented; a word that is longer stays whole on its own line."""
    if width is None or cell_len(text) <= width:
        return [text]
    lines: list[str] = []
    for word in re.split(r"(?<=\S) +", text):
        if lines and cell_len(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append((indent if lines else "") + word)
    return lines


@dataclass(frozen=True)
class Grid:
    """A table's lines, its header apart; `left_out` names the columns there was no room for."""

    header: list[str]
    lines: list[str]
    left_out: list[str]


def lay_out(table: Table, width: int | None) -> Grid:
    """The table within `width` columns (None: any).

    Where it is too wide, its spare columns are left out, then texts wrap; where that is not enough, each row becomes
    lines of a name and a value.
    """
    cells = [[formatted(cell) for cell in row] for row in table.rows]
    numeric = [bool(any(table.columns)) and all(_is_number(row[at]) for row in table.rows) for at in _places(table)]
    chosen, left_out = _chosen(table, cells, width)
    names = [table.columns[at] for at in chosen]
    rows = [[row[at] for at in chosen] for row in cells]
    right = [numeric[at] for at in chosen]
    widths = _widths(names, rows, width)
    if widths is not None:
        header = list(_row(names, widths, right)) if any(names) else []
        return Grid(header, [line for row in rows for line in _row(row, widths, right)], left_out)
    pairs = [[pair for pair in zip(table.columns, row, strict=True) if pair[1]] for row in cells]
    return Grid([], [line for each in pairs for line in [*_pairs(each, width or 0), ""]][:-1], [])


def _is_number(cell: Cell) -> bool:
    return not isinstance(cell, str) or re.fullmatch(r"[-+]?[0-9][0-9.,]*( ?%)?", cell) is not None


def _places(table: Table) -> range:
    return range(len(table.columns))


def _chosen(table: Table, cells: Sequence[Sequence[str]], width: int | None) -> tuple[list[int], list[str]]:
    """The columns there is room for, spare ones as far as they fit, and the names of the others."""
    natural = [max(cell_len(row[at]) for row in [table.columns, *cells]) for at in _places(table)]
    if width is None or sum(natural) + len(GAP) * (len(natural) - 1) <= width:
        return list(_places(table)), []
    chosen = [at for at, name in enumerate(table.columns) if name not in table.spare]
    room = width - sum(natural[at] + len(GAP) for at in chosen)
    for name in reversed(table.spare):
        at = list(table.columns).index(name)
        if natural[at] <= room:
            chosen.append(at)
            room -= natural[at] + len(GAP)
    return sorted(chosen), [name for at, name in enumerate(table.columns) if at not in chosen]


def _widths(names: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[int] | None:
    """The width of each column; None where not even whole words fit."""
    columns = list(zip(names, *rows, strict=True))
    widths = [max(map(cell_len, column)) for column in columns]
    if width is None:
        return widths
    least = [max(cell_len(piece) for text in column for piece in _pieces(text)) for column in columns]
    room = width - len(GAP) * (len(names) - 1)
    if len(names) == 2 and widths[0] <= room // 2:
        least[0] = widths[0]
    if sum(least) > room and len(names) > 2:
        return None
    while sum(widths) > room:
        wide = [at for at, own in enumerate(widths) if own > least[at]]
        if not wide:
            break
        widths[max(wide, key=lambda at: widths[at])] -= 1
    return widths


def _pieces(text: str) -> list[str]:
    """What a text may be parted into: words, and the parts of names and paths."""
    return re.findall(r"[^\s/_-]*[/_-]?|\S", text) or [""]


def _row(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> Iterator[str]:
    parted = [_parted(cell, width) for cell, width in zip(cells, widths, strict=True)]
    for parts in zip_longest(*parted, fillvalue=""):
        padded = [
            f"{' ' * (width - cell_len(part))}{part}" if to_right else f"{part}{' ' * (width - cell_len(part))}"
            for part, width, to_right in zip(parts, widths, right, strict=True)
        ]
        yield GAP.join(padded).rstrip()


def _parted(text: str, width: int) -> list[str]:
    """A cell's lines: parted between words, and only where a word is too long after its hyphens and slashes."""
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(joined) <= width:
            lines[-1] = joined
            continue
        lines += [""] if lines[-1] else []
        for piece in [word] if cell_len(word) <= width else _pieces(word):
            if lines[-1] and cell_len(lines[-1] + piece) > width:
                lines.append("")
            lines[-1] += piece
    return lines


def _pairs(pairs: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    names = max(cell_len(name) for name, _ in pairs)
    for name, value in pairs:
        yield from _row((name, value), (names, max(width - names - len(GAP), 1)), (False, False))


def ordinal(number: int) -> str:
    """`8th`, `22nd`."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def epoch_line(row: Mapping[str, Cell], width: int | None) -> str:
    """One line for a finished epoch; where it is too long, what tells least is left out (metrics.jsonl has it all)."""
    parts = {key: f"{key} {formatted(value)}" for key, value in row.items()}
    if "epochs" in row:
        parts["epoch"] = f"epoch {row['epoch']}/{row['epochs']}"
    if isinstance(top1 := row.get("val_top1"), float):
        parts["val_top1"] = f"val top-1 {top1:.2%}" + (", best" if row.get("best") else "")
    if isinstance(loss := row.get("val_loss"), float):
        parts["val_loss"] = f"val loss {formatted(loss)}"
    if isinstance(speed := row.get("images_per_second"), float):
        parts["images_per_second"] = f"{formatted(speed)} images/s"
    for hidden in ("epochs", "best"):
        parts.pop(hidden, None)
    if row.get("ce") == row.get("loss"):  # labels alone are learnt
        parts.pop("ce", None)
    main = [key for key in ("epoch", "val_top1", "loss", "val_loss") if key in parts]
    others = [key for key in parts if key not in (*main, "step", "images_per_second")]
    for doomed in ("step", "images_per_second", "val_loss", *reversed(others), "loss"):
        if width is None or cell_len(GAP.join(parts.values())) <= width:
            break
        parts.pop(doomed, None)
    return GAP.join(parts.values())


@dataclass(frozen=True)
class Standing:
    """How far a stage is; `left` is the seconds still to come, None where unknown."""

    title: str
    done: int
    total: int | None
    unit: str
    values: Mapping[str, float]
    elapsed: float
    left: float | None


def bar_line(at: Standing, width: int, filled: str = "━", empty: str = "─") -> str:
    """A stage's line: always the count and the time left (open end: the time taken), the rest where it fits."""
    count = formatted(at.done) if at.total is None else f"{formatted(at.done)}/{formatted(at.total)}"
    left = f"{_clock(at.left)} left" if at.total is not None else _clock(at.elapsed)
    unit = f" {at.unit}" if at.unit else ""
    bar = LEAST_BAR + len(GAP)
    room = width - cell_len(GAP.join((count, left)))
    title = at.title if cell_len(at.title) + len(GAP) <= room else ""
    room -= cell_len(title) + len(GAP) if title else 0
    values = " ".join(f"{key} {formatted(value)}" for key, value in at.values.items())
    extra = {"unit": unit, "values": values, "elapsed": "" if at.total is None else _clock(at.elapsed)}
    for name, text in extra.items():
        cost = cell_len(text) + (0 if name == "unit" else len(GAP))
        if not text or cost + bar > room:
            extra[name] = ""
        else:
            room -= cost
    drawn = ""
    if at.total and room >= bar:
        length = room - len(GAP)
        share = min(length, round(length * at.done / at.total))
        drawn = filled * share + empty * (length - share)
    parts = (title, drawn, count + extra["unit"], extra["values"], extra["elapsed"], left)
    return GAP.join(part for part in parts if part)


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "-:--:--"
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
