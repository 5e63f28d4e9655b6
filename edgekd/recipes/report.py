"""`edgekd report`: one page on a run, a study or a search, and its facts as JSON. Only a run's needs torch."""

import webbrowser
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgekd.config import Report
from edgekd.errors import CheckpointError, MissingDependency
from edgekd.models.finished import student_run
from edgekd.reading import read_json
from edgekd.report import Cell, Reporter, Result, Table
from edgekd.reporting.documents import NEEDED, check_target, write_page
from edgekd.reporting.pages import kind_of, page_of
from edgekd.runs import Run, write_json

STORED = ("study.json", "search.json")
"""Results that are printed as they are."""
SUFFIXES = (".html", ".md")


@dataclass(frozen=True)
class _Source:
    """What is reported: a run, or JSON facts at `path`; `folder` is where the page goes."""

    folder: Path
    path: Path | None = None
    run: Run | None = None


def run(config: Report, report: Reporter) -> Result:
    """Gather the facts, write report.json and the page made from it; study.json and search.json are facts already."""
    source = _source(config)
    target = _target(config, source)
    check_target(target, SUFFIXES)
    if source.run is not None:
        report.note(f"run: {source.run.path}")
        facts = _torch_facts(source.run, config, report)
        stored = target.with_suffix(".json")
        write_json(stored, facts)
    else:
        stored = Path(str(source.path))
        facts = read_json(stored, CheckpointError)
    page = page_of(facts, stored)
    write_page(page, target)
    if config.open:
        webbrowser.open(target.resolve().as_uri())
    rows: list[tuple[str, Cell]] = [
        ("about", page.title),
        ("", page.lead),
        ("page", str(target)),
        ("facts", str(stored)),
    ]
    data = {"page": str(target), "facts": str(stored), "kind": kind_of(facts, stored)}
    return Result(data | {"report": _without_pictures(facts)}, (Table("edgekd report", ("", ""), rows),))


def _source(config: Report) -> _Source:
    """What `config.model` names; raises CheckpointError when it is none of the kinds."""
    given = Path(config.model) if config.model else None
    if given is not None and given.suffix == ".json":
        return _Source(given.parent, path=given)
    for name in STORED if given is not None else ():
        if given is not None and (given / name).is_file():
            return _Source(given, path=given / name)
    found = student_run(config.model, config.runs)
    return _Source(found.path, run=found)


def _target(config: Report, source: _Source) -> Path:
    if config.output is not None:
        return config.output
    is_html = config.format == "html" or (config.format is None and all(map(find_spec, NEEDED)))
    name = source.path.stem if source.path is not None else "report"
    return source.folder / (name + (".html" if is_html else ".md"))


def _torch_facts(found: Run, config: Report, report: Reporter) -> dict[str, Any]:
    facts: dict[str, Any] = _torch("edgekd.reporting.run_facts").facts_of(found, config, report)
    return facts


def _torch(module: str) -> Any:  # noqa: ANN401
    """A module that needs torch, which pages on studies do without."""
    if find_spec("torch") is None:
        raise MissingDependency("torch is not installed", "pip install 'edgekd[train]'")
    return import_module(module)


def _without_pictures(facts: Any) -> Any:  # noqa: ANN401
    if isinstance(facts, dict):
        return {key: _without_pictures(value) for key, value in facts.items() if key != "thumbnail"}
    return [_without_pictures(each) for each in facts] if isinstance(facts, list) else facts
