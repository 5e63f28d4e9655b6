"""Pages as files: Markdown in plain text, HTML in one self-contained file (needs jinja2 and matplotlib)."""

import json
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from edgekd import runs
from edgekd.errors import MissingDependency, UsageError
from edgekd.report import Cell
from edgekd.reporting.blocks import Block, Gallery, Grid, Page, Plot, Text, is_number, number_columns, shown
from edgekd.runs import atomic

NEEDED = ("jinja2", "matplotlib")
"""Packages that an HTML page needs, of the extra `report`."""
TEMPLATE = "page.html"


def check_target(path: Path, suffixes: Sequence[str], name: str = "--output") -> None:
    """Raise UsageError for an unknown suffix or a folder, MissingDependency for HTML without its packages, DataError
    for a place that cannot be written: before any work is done for it."""
    if path.suffix not in suffixes:
        raise UsageError(f"{name} {path}: unknown kind of report", f"a name that ends in {', '.join(suffixes)}")
    if path.suffix == ".html":
        check_packages()
    if path.is_dir():
        raise UsageError(f"{name} {path}: a folder", "give a file's name")
    runs.check_writable(path.absolute().parent)


def check_packages() -> None:
    """Raise MissingDependency when HTML cannot be written here."""
    missing = [package for package in NEEDED if find_spec(package) is None]
    if missing:
        raise MissingDependency(
            f"an .html report needs {' and '.join(missing)}", "pip install 'edgekd[report]', or write .md"
        )


def write_page(page: Page, path: Path) -> None:
    """Write the page in the form that the suffix names: .html, or Markdown."""
    text = html(page) if path.suffix == ".html" else markdown(page)
    with atomic(path) as beside:
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")


def html(page: Page) -> str:
    """The page as one HTML file without references to anything outside it."""
    jinja2, plots = import_module("jinja2"), import_module("edgekd.reporting.plots")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(shown=shown, number_columns=number_columns, is_number=is_number)
    # "</script>" inside the JSON would end its element
    data = None if page.facts is None else json.dumps(page.facts, sort_keys=True).replace("<", "\\u003c")
    text: str = environment.get_template(TEMPLATE).render(page=page, draw=plots.draw, data=data)
    return text


def markdown(page: Page) -> str:
    """The page as Markdown, without plots and pictures."""
    parts = [f"# {page.title}", page.lead]
    for section in page.sections:
        found = [text for block in section.blocks if (text := _block(block))]
        parts += [f"## {section.title}", *found] if found else []
    return "\n\n".join(part for part in parts if part) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Text) and block.is_code:
        return "\n".join(["```sh", *block.lines, "```"])
    if isinstance(block, Text):
        return "\n".join(f"- {line}" for line in block.lines)
    if isinstance(block, Grid):
        table = block.table
        lines = [_row(table.columns), _row(["---"] * len(table.columns)), *map(_row, table.rows)]
        return (f"**{table.title}**\n\n" if table.title else "") + "\n".join(lines)
    if isinstance(block, Gallery):
        captions = "\n".join(f"- {_escaped(picture.caption)}" for picture in block.pictures)
        return f"**{block.title}**\n\n{captions}" if captions else ""
    return f"*{block.title}: {_escaped(block.alt)}*" if isinstance(block, Plot) else ""


def _row(cells: Sequence[Cell]) -> str:
    return "| " + " | ".join(_escaped(shown(cell)) for cell in cells) + " |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
