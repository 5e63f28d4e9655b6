"""Plots as inline SVG with matplotlib: text and axes take the page's own colour, so that they fit light and dark."""

import hashlib
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, cast

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter, StrMethodFormatter

from edgekd.reporting.blocks import Plot

SIZE = (4.8, 3.1)
"""Inches: narrow, so that the text is legible where a phone shows the plot over its whole width."""
INK = "#010203"
"""Stands for the page's text colour, which only the page knows."""
COLOURS = ("#3b82c4", "#d9822b", "#3f9d5b", "#b565c9", "#c8485a", "#8a8f98", "#2aa6a6", "#a58b2f")
"""Legible on white and on near-black."""
PIXELS = 96 / 72
"""CSS pixels of a point."""
LONGEST = 28
"""Letters of a name in a plot."""
NEAR = 0.06
"""Of the axes: points nearer than this cannot have a name each."""
LARGE = 10_000
"""From here on an axis counts in thousands (k) and millions (M)."""
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a $ in a name is a $
    "font.size": 10,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def draw(plot: Plot) -> str:
    """The plot as one <svg> element."""
    digest = hashlib.blake2b(repr((plot.title, plot.draws, plot.values)).encode("utf-8", "replace"), digest_size=4)
    with rc_context({**STYLE, "svg.hashsalt": digest.hexdigest()}):
        figure = Figure(figsize=SIZE)
        DRAWN[plot.draws](figure.add_subplot(), **{name: _legible(value) for name, value in plot.values.items()})
        stream = io.BytesIO()
        with warnings.catch_warnings():
            # letters that matplotlib's own font lacks are drawn by the reader's
            warnings.filterwarnings("ignore", "Glyph")
            figure.savefig(stream, format="svg", transparent=True, bbox_inches="tight")
    return _inline(stream.getvalue().decode(), f"p{digest.hexdigest()}", plot.alt)


def _legible(value: Any) -> Any:  # noqa: ANN401
    """The same values with names that fit a plot: the middle of a long one left out, no bytes that are no text."""
    if isinstance(value, str):
        text = value.encode("utf-8", "backslashreplace").decode()
        half = LONGEST // 2
        return text if len(text) <= LONGEST else f"{text[:half]}…{text[-half:]}"
    if isinstance(value, Mapping):
        names = [_legible(name) for name in value]
        kept = names if len(set(names)) == len(names) else list(value)
        return {name: _legible(each) for name, each in zip(kept, value.values(), strict=True)}
    return [_legible(each) for each in value] if isinstance(value, list | tuple) else value


def _inline(svg: str, prefix: str, alt: str) -> str:
    """An SVG file as an element of a page: no declarations, no metadata, ids of its own, described for readers."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href").replace(INK, "currentColor")
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    box = re.search(r'viewBox="([\d.]+ [\d.]+ ([\d.]+) [\d.]+)"', svg)
    # never larger than drawn, so that text has the same size in all plots
    size = f'viewBox="{box.group(1)}" style="max-width: {float(box.group(2)) * PIXELS:.0f}px"' if box else ""
    opening = f'<svg role="img" aria-label="{escape(alt)}" {size}>'
    return opening + svg[svg.index(">") + 1 :]


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _figure(axes: Axes) -> Figure:
    figure: Any = axes.figure
    return cast(Figure, figure)


def _legend_below(axes: Axes) -> None:
    """The legend where it hides no value: 0.5 inches below the axes, whatever their height."""
    below = -0.5 / (_figure(axes).get_figheight() * axes.get_position().height)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, below), ncol=3)


def _curves(  # noqa: PLR0913 - each is one property of the plot
    axes: Axes,
    *,
    x: Sequence[float],
    series: Mapping[str, Sequence[float | None]],
    xlabel: str,
    ylabel: str,
    mark: float | None = None,
    ratio: bool = False,
) -> None:
    """Lines over common places; `mark` is a vertical line, `ratio` shows the values as percentages."""
    for number, (name, values) in enumerate(series.items()):
        points = [(place, value) for place, value in zip(x, values, strict=True) if value is not None]
        style = "o-" if len(points) < 25 else "-"
        axes.plot(*zip(*points, strict=True), style, color=_colour(number), label=name, markersize=3, linewidth=1.5)
    if mark is not None:
        axes.axvline(mark, color=INK, linestyle=":", linewidth=1)
    if ratio:
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(series) > 1:
        _legend_below(axes)


def _reliability(axes: Axes, *, bins: Sequence[Mapping[str, Any]]) -> None:
    """Accuracy by confidence, beside the diagonal of a calibrated network."""
    filled = [each for each in bins if each["images"]]
    most = max(each["images"] for each in filled)
    axes.plot([0, 1], [0, 1], linestyle=":", color=INK, linewidth=1, label="calibrated")
    axes.bar(
        [each["low"] for each in filled],
        [each["accuracy"] for each in filled],
        [each["high"] - each["low"] for each in filled],
        align="edge",
        color=COLOURS[0],
        edgecolor=COLOURS[0],
        alpha=0.55,
        label="accuracy",
    )
    sizes = [8 + 40 * each["images"] / most for each in filled]
    axes.scatter(
        [each["confidence"] for each in filled],
        [each["accuracy"] for each in filled],
        sizes,
        color=COLOURS[1],
        label="bin (area: images)",
        zorder=3,
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
    _legend_below(axes)


def _bars(
    axes: Axes, *, names: Sequence[str], series: Mapping[str, Sequence[float | None]], xlabel: str, ratio: bool = False
) -> None:
    """Horizontal bars, one group a name, the first on top."""
    height = 0.8 / len(series)
    for number, (label, values) in enumerate(series.items()):
        places = [row + (number - (len(series) - 1) / 2) * height for row in range(len(names))]
        axes.barh(places, [value or 0 for value in values], height * 0.92, color=_colour(number), label=label)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    _figure(axes).set_figheight(max(SIZE[1], 0.9 + len(names) * (0.24 if len(series) < 3 else 0.36)))
    if ratio:
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xlim(0, 1)
    axes.set_xlabel(xlabel)
    if len(series) > 1:
        _legend_below(axes)


def _intervals(
    axes: Axes, *, names: Sequence[str], values: Sequence[float], spreads: Sequence[float | None], xlabel: str
) -> None:
    """A point with its standard deviation for each name, the first on top; percentages."""
    rows = range(len(names))
    sds = [each or 0 for each in spreads]
    axes.errorbar(values, rows, xerr=sds, fmt="o", markersize=5, color=COLOURS[0], capsize=3)
    axes.set_yticks(rows, names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.margins(x=0.1)
    axes.grid(axis="x", alpha=0.25)
    _figure(axes).set_figheight(max(1.6, 0.9 + len(names) * 0.28))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel(xlabel)


def _sweep(
    axes: Axes, *, lines: Mapping[str, Sequence[Mapping[str, Any]]], xlabel: str, ylabel: str, ratio: bool = False
) -> None:
    """A line with standard deviations for each name; a long range of positive places is logarithmic."""
    places = [each["x"] for line in lines.values() for each in line]
    for number, (name, line) in enumerate(lines.items()):
        row = sorted(line, key=lambda each: each["x"])
        xs, ys, sds = ([each[key] or 0 for each in row] for key in ("x", "y", "sd"))
        style: dict[str, Any] = {"color": _colour(number), "linewidth": 1.5, "markersize": 4, "capsize": 3}
        axes.errorbar(xs, ys, yerr=sds, fmt="o-", label=name, **style)
    if min(places) > 0 and max(places) / min(places) > 30:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    if ratio:
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    elif axes.get_ylim()[1] >= LARGE:
        axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.grid(axis="y", alpha=0.25)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if len(lines) > 1:
        _legend_below(axes)


def _heatmap(axes: Axes, *, values: Sequence[Sequence[float]]) -> None:
    """Shares by labelled class (down) and answered class (across), of too many classes for a table."""
    _figure(axes).set_figheight(SIZE[0])
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xlabel="answered class", ylabel="labelled class")


def _histogram(axes: Axes, *, series: Mapping[str, Sequence[float]], xlabel: str, ylabel: str) -> None:
    """How often, in bins of equal ratios since tails are long; both axes logarithmic."""
    everything = [each for values in series.values() for each in values]
    low, high = min(everything) * 0.999, max(everything) * 1.001
    edges = [low * (high / low) ** (index / 60) for index in range(61)]
    for number, (name, values) in enumerate(series.items()):
        axes.hist(values, bins=edges, histtype="step", color=_colour(number), label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel, xscale="log", yscale="log")
    _legend_below(axes)


def _sequence(axes: Axes, *, series: Mapping[str, Mapping[str, Any]], xlabel: str, ylabel: str) -> None:
    """Values in the order in which they were measured; each series has its `values` and `every` how many runs."""
    for number, (name, row) in enumerate(series.items()):
        places = [index * row["every"] for index in range(len(row["values"]))]
        axes.plot(places, row["values"], linewidth=0.6, color=_colour(number), label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel, yscale="log")
    _legend_below(axes)


def _scatter(  # noqa: PLR0913 - each is one property of the plot
    axes: Axes,
    *,
    points: Sequence[Mapping[str, Any]],
    xlabel: str,
    ylabel: str,
    front: Sequence[tuple[float, float]] = (),
    limit: float | None = None,
    ratio: bool = False,
) -> None:
    """Points with optional names and spread `sd`; the Pareto front as steps, the budget as a line with its far side
    shaded."""
    groups = {True: "within the budget", False: "beyond it"} if limit is not None else {True: None}
    for fits, label in groups.items():
        chosen = [each for each in points if limit is None or (each["x"] <= limit) is fits]
        colour = COLOURS[0] if fits else COLOURS[5]
        spread = [each.get("sd") or 0 for each in chosen]
        places = [each["x"] for each in chosen], [each["y"] for each in chosen]
        axes.errorbar(*places, yerr=spread, fmt="o", markersize=4, color=colour, label=label, capsize=2)
    for (x, y), names in _named(points).items():
        axes.annotate("\n".join(names), (x, y), (5, 4), textcoords="offset points", fontsize=8)
    if front:
        axes.step(
            *zip(*sorted(front), strict=True), where="post", color=COLOURS[1], linewidth=1.5, label="Pareto front"
        )
    axes.margins(0.12)
    if any(each.get("name") for each in points):
        low, high = axes.get_xlim()
        axes.set_xlim(low, high + (high - low) * 0.3)
    if limit is not None:
        low, high = axes.get_xlim()
        axes.set_xlim(low, max(high, limit * 1.1))
        axes.axvspan(limit, axes.get_xlim()[1], color=COLOURS[4], alpha=0.12, linewidth=0)
        axes.axvline(limit, color=COLOURS[4], linestyle="--", linewidth=1.2, label="budget")
    if ratio:
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    if axes.get_xlim()[1] >= LARGE:
        axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if front or limit is not None:
        _legend_below(axes)


def _named(points: Sequence[Mapping[str, Any]]) -> dict[tuple[float, float], list[str]]:
    """Names by place; those of points too near each other for a name each stand together."""
    found: dict[tuple[float, float], list[str]] = {}
    wide, high = (max(each[key] for each in points) - min(each[key] for each in points) for key in ("x", "y"))
    for each in points:
        place = each["x"], each["y"]
        near = (
            known
            for known in found
            if abs(known[0] - place[0]) <= NEAR * wide and abs(known[1] - place[1]) <= NEAR * high
        )
        if each.get("name"):
            found.setdefault(next(near, place), []).append(each["name"])
    return found


DRAWN: dict[str, Callable[..., None]] = {
    "curves": _curves,
    "reliability": _reliability,
    "bars": _bars,
    "intervals": _intervals,
    "heatmap": _heatmap,
    "histogram": _histogram,
    "sequence": _sequence,
    "scatter": _scatter,
    "sweep": _sweep,
}
"""Every kind of plot by name."""
