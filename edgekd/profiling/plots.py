"""Plots of a report with matplotlib: histogram, time series, and latency against accuracy or size."""

import base64
import io
from typing import Any

from matplotlib.figure import Figure

from edgekd.profiling.comparison import top1_of

Report = dict[str, Any]


def draw(report: Report) -> list[tuple[str, str]]:
    """Titles and PNG images (base64)."""
    drawn = [("Latency: how often", _histogram(report)), ("Latency: one run after another", _series(report))]
    if len(report["models"]) > 1:
        drawn.append(("Latency against what it buys", _trade_off(report)))
    return drawn


def _judged(model: Report) -> Report:
    wanted = model["judged"]["batch"], model["judged"]["threads"]
    found: Report = next(each for each in model["measurements"] if (each["batch"], each["threads"]) == wanted)
    return found


def _histogram(report: Report) -> str:
    figure = Figure(figsize=(9, 3.5))
    axes = figure.add_subplot()
    for model in report["models"]:
        axes.hist(_judged(model)["times_ms"]["values"], bins=100, histtype="step", label=model["name"])
    axes.set(xlabel="ms", ylabel="runs", yscale="log")
    axes.legend()
    return _png(figure)


def _series(report: Report) -> str:
    figure = Figure(figsize=(9, 3.5))
    axes = figure.add_subplot()
    for model in report["models"]:
        times = _judged(model)["times_ms"]
        places = [index * times["every"] for index in range(len(times["values"]))]
        axes.plot(places, times["values"], linewidth=0.5, label=model["name"])
    axes.set(xlabel="run", ylabel="ms")
    axes.legend()
    return _png(figure)


def _trade_off(report: Report) -> str:
    """Median latency against top-1 where it is known of all models, else against size."""
    tops = [top1_of(model) for model in report["models"]]
    known = all(top is not None for top in tops)
    figure = Figure(figsize=(9, 4))
    axes = figure.add_subplot()
    for model, top in zip(report["models"], tops, strict=True):
        size = model["size_bytes"] / 1e6
        place = _judged(model)["latency_ms"]["median"], top if known and top is not None else size
        axes.scatter(*place)
        axes.annotate(f"{model['name']}, {size:.3g} MB", place, (5, 5), textcoords="offset points")
    axes.margins(0.2)
    axes.set_xlim(left=0)
    axes.set(xlabel="latency p50, ms", ylabel="top-1" if known else "file size, MB")
    return _png(figure)


def _png(figure: Figure) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, bbox_inches="tight")
    return base64.b64encode(stream.getvalue()).decode("ascii")
