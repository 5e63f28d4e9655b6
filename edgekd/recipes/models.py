"""`edgekd models`: what can be named, with its cost."""

from dataclasses import asdict

from edgekd.config import Models
from edgekd.models.catalogue import catalogue
from edgekd.report import Reporter, Result, Table


def run(config: Models, report: Reporter) -> Result:
    """The usual models, or those that match a pattern."""
    rows = catalogue(config.pattern, config.classes, config.input_size)
    shown = [(row.name, ", ".join(row.short_names), row.parameters, row.macs, row.input_size) for row in rows]
    title = f"models with {config.classes} classes (any other timm name works too; edgekd models PATTERN looks them up)"
    columns = ("name", "short", "parameters", "multiply-adds", "input")
    facts = {"classes": config.classes, "models": [asdict(row) for row in rows]}
    return Result(facts, (Table(title, columns, shown, ("short", "input")),))
