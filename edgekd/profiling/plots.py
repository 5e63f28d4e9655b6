"""Plots of a report with matplotlib: histogram, time series, and latency against accuracy or size."""

import base64
import io
from typing import Any

from matplotlib.figure import Figure

from edgekd.profiling.judge.comparison import top1_of

ROOM = 1.3
"""The rightmost name needs some."""

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
        axes.hist(_judged(model)["times_ms"]["values"], bins=_bins(report), histtype="step", label=model["name"])
    axes.set(xlabel="ms", ylabel="runs", xscale="log", yscale="log")
    axes.legend()
    return _png(figure)


def _bins(report: Report) -> list[float]:
    """Edges of 100 bins from the fastest to the slowest run, in equal ratios: tails are long."""
    times = [each for model in report["models"] for each in _judged(model)["times_ms"]["values"]]
    low, high = min(times) * 0.999, max(times) * 1.001
    return [low * (high / low) ** (index / 100) for index in range(101)]


def _series(report: Report) -> str:
    figure = Figure(figsize=(9, 3.5))
    axes = figure.add_subplot()
    for model in report["models"]:
        times = _judged(model)["times_ms"]
        places = [index * times["every"] for index in range(len(times["values"]))]
        axes.plot(places, times["values"], linewidth=0.5, label=model["name"])
    axes.set(xlabel="run", ylabel="ms", yscale="log")
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
    axes.set_xlim(0, axes.get_xlim()[1] * ROOM)
    axes.set(xlabel="latency p50, ms", ylabel="top-1" if known else "file size, MB")
    return _png(figure)


def _png(figure: Figure) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, bbox_inches="tight")
    return base64.b64encode(stream.getvalue()).decode("ascii")
