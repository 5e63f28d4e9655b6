"""The page on a profile, from the JSON object of `edgekd profile` alone. Never imports torch."""

from collections.abc import Sequence
from typing import Any

from edgekd.profiling.judge.comparison import top1_of
from edgekd.profiling.tables import lines_of, tables_of
from edgekd.report import Cell, Table
from edgekd.reporting.blocks import Block, Grid, Page, Plot, Section, Text, percent

Report = dict[str, Any]

SUFFIXES = (".json", ".md", ".html")


def profile_page(report: Report) -> Page:
    """Verdict first, then tables, plots and the conditions."""
    names = ", ".join(model["name"] for model in report["models"])
    blocks: list[Block] = [Grid(table) for table in tables_of(report)]
    sections = [
        Section("Result", [Text(lines_of(report))]),
        *([Section("Warnings", [Text(report["warnings"])])] if report["warnings"] else []),
        Section("Figures", blocks),
        Section("Plots", _plots(report)),
        Section("Machine and conditions", [Grid(_conditions(report))]),
    ]
    return Page(f"Profile of {names}", f"{report['created']}, {report['machine']['title']}", sections, report)


def _conditions(report: Report) -> Table:
    before, after = report["conditions"]["before"], report["conditions"]["after"]
    rows: list[list[Cell]] = [[key, _plain(before[key]), _plain(after[key])] for key in before]
    machine = report["machine"]
    facts = {key: machine[key] for key in ("cpu", "arch", "cores", "memory_mb", "kernel", "system", "python")}
    rows += [[key, _plain(value), ""] for key, value in facts.items()]
    return Table("", ["what", "before", "after"], rows)


def _plain(value: Any) -> Cell:  # noqa: ANN401
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _judged(model: Report) -> Report:
    wanted = model["judged"]["batch"], model["judged"]["threads"]
    found: Report = next(each for each in model["measurements"] if (each["batch"], each["threads"]) == wanted)
    return found


def _plots(report: Report) -> Sequence[Plot]:
    models = report["models"]
    times = {model["name"]: _judged(model)["times_ms"] for model in models}
    values = {name: row["values"] for name, row in times.items()}
    ranges = "; ".join(f"{name} {min(each):.3g} to {max(each):.3g} ms" for name, each in values.items())
    found = [
        Plot(
            "Latency: how often",
            f"Histogram of the latency of one batch: {ranges}",
            "histogram",
            {"series": values, "xlabel": "ms", "ylabel": "runs"},
        ),
        Plot(
            "Latency: one run after another",
            f"Latency in the order of the runs: {ranges}",
            "sequence",
            {"series": times, "xlabel": "run", "ylabel": "ms"},
        ),
    ]
    return [*found, _trade_off(models)] if len(models) > 1 else found


def _trade_off(models: Sequence[Report]) -> Plot:
    """Median latency against top-1 where it is known of all models, else against size."""
    tops = [top1_of(model) for model in models]
    known = all(top is not None for top in tops)
    points = [
        {
            "x": _judged(model)["latency_ms"]["median"],
            "y": top if known else model["size_bytes"] / 1e6,
            "name": f"{model['name']}, {model['size_bytes'] / 1e6:.3g} MB",
        }
        for model, top in zip(models, tops, strict=True)
    ]
    what = "top-1" if known else "file size, MB"
    words = "; ".join(
        f"{each['name']}: {each['x']:.3g} ms" + (f", {percent(each['y'])}" if known else "") for each in points
    )
    values = {"points": points, "xlabel": "latency p50, ms", "ylabel": what, "ratio": known}
    return Plot("Latency against what it buys", f"Median latency against {what}. {words}", "scatter", values)
