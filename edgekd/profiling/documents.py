"""The report as a file: JSON as it is, Markdown from the same tables, HTML with plots (needs matplotlib)."""

import html
import json
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgekd import runs
from edgekd.errors import MissingDependency, UsageError
from edgekd.profiling.tables import lines_of, tables_of
from edgekd.report import Cell, Table

SUFFIXES = (".json", ".md", ".html")

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;border-bottom:1px solid #ccc;text-align:left}"
    "img{max-width:100%}"
)


def check_target(path: Path) -> None:
    """Raise UsageError for an unknown suffix, MissingDependency for HTML without matplotlib, DataError for a place that
    cannot be written: before anything is measured for it."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"--report {path}: unknown kind of report", f"a name that ends in {', '.join(SUFFIXES)}")
    if path.suffix == ".html" and find_spec("matplotlib") is None:
        raise MissingDependency("an .html report needs matplotlib", "pip install 'edgekd[report]', or write .md")
    if path.is_dir():
        raise UsageError(f"--report {path}: a folder", "give a file's name")
    runs.check_writable(path.absolute().parent)


def write_document(report: dict[str, Any], path: Path) -> None:
    """Write the report in the form its suffix names."""
    if path.suffix == ".json":
        runs.write_json(path, report)
        return
    text = markdown(report) if path.suffix == ".md" else page(report)
    with runs.atomic(path) as beside:
        beside.write_text(text, encoding="utf-8")


def markdown(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    parts = [f"# Profile of {_names(report)}", f"{report['created']}, {report['machine']['title']}"]
    parts += [_markdown_table(table) for table in tables_of(report)]
    parts += ["\n".join(f"- {line}" for line in lines_of(report))]
    if report["warnings"]:
        parts += ["## Warnings", "\n".join(f"- {line}" for line in report["warnings"])]
    parts += ["## Conditions", _markdown_table(_conditions(report))]
    return "\n\n".join(parts) + "\n"


def _names(report: dict[str, Any]) -> str:
    return ", ".join(model["name"] for model in report["models"])


def _conditions(report: dict[str, Any]) -> Table:
    before, after = report["conditions"]["before"], report["conditions"]["after"]
    rows = [[key, _cell(_plain(before[key])), _cell(_plain(after[key]))] for key in before]
    machine = report["machine"]
    facts = {key: machine[key] for key in ("cpu", "arch", "cores", "memory_mb", "kernel", "system", "python")}
    rows += [[key, _cell(_plain(value)), ""] for key, value in facts.items()]
    return Table("Machine and conditions", ["what", "before", "after"], rows)


def _plain(value: Any) -> Cell:  # noqa: ANN401
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _markdown_table(table: Table) -> str:
    lines = [_markdown_row(table.columns), _markdown_row(["---"] * len(table.columns))]
    lines += [_markdown_row([_cell(cell) for cell in row]) for row in table.rows]
    return f"**{table.title}**\n\n" + "\n".join(lines)


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cell(value: Cell) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def page(report: dict[str, Any]) -> str:
    """The report as one HTML page, its plots and its JSON inside."""
    plots = import_module("edgekd.profiling.plots")
    parts = [f"<h1>Profile of {html.escape(_names(report))}</h1>", _html_lines(lines_of(report))]
    if report["warnings"]:
        parts += ["<h2>Warnings</h2>", _html_lines(report["warnings"])]
    parts += [_html_table(table) for table in [*tables_of(report), _conditions(report)]]
    parts += [
        f'<h2>{html.escape(title)}</h2><img alt="{html.escape(title)}" src="data:image/png;base64,{image}">'
        for title, image in plots.draw(report)
    ]
    data = json.dumps(report).replace("<", "\\u003c")
    parts.append(f'<script type="application/json" id="report">{data}</script>')
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>edgekd profile</title><style>{_STYLE}</style>'
    return f"{head}<body>{''.join(parts)}</body></html>\n"


def _html_lines(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cell(cell))}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    return f"<h2>{html.escape(table.title)}</h2><table><tr>{head}</tr>{rows}</table>"
