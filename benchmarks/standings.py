"""From the figures of all trainings to a table: ratios, the gate of equal accuracy, and when a cache has paid."""

import math
from collections.abc import Sequence
from itertools import chain
from statistics import fmean, median, variance
from typing import Any

from lineup import PLAIN_LIVE, Contestant, Figures
from record import ratio


def column(figures: Sequence[Figures], name: str) -> list[float]:
    """One figure of all repeats."""
    return [each[name] for each in figures]


def gate(figures: Sequence[Figures], plain: Sequence[Figures], everyone: Sequence[Sequence[Figures]]) -> str:
    """Whether accuracy and loss agree with the plain loop's: three standard errors of the seeds' common spread."""
    misses = []
    for name in ("val_top1", "loss"):
        spread = fmean(variance(column(each, name)) for each in everyone) if len(plain) > 1 else math.inf
        apart = abs(fmean(column(figures, name)) - fmean(column(plain, name)))
        if apart > 3 * math.sqrt(2 * spread / len(plain)):
            misses.append(f"{name} {apart:.3g} apart")
    return "void: " + ", ".join(misses) if misses else "agrees"


def break_even(each: Contestant, found: dict[Contestant, list[Figures]]) -> str:
    """After how many epochs the cache has paid for itself, against the same tool live in the same format."""
    tool = each.name.split(" ")[0].rstrip(",")
    live = [other for other in found if other.name.startswith(tool) and not other.is_cached]
    twin = next((other for other in live if other.format == each.format), None)
    if twin is None:
        return ""
    saved = median(column(found[twin], "warm_s")) - median(column(found[each], "warm_s"))
    return f"{math.ceil(median(column(found[each], 'build_s')) / saved)}" if saved > 0 else "never"


def cache_cells(each: Contestant, found: dict[Contestant, list[Figures]]) -> dict[str, str]:
    """The columns that only a cached training fills."""
    names = ("building, s", "break-even, epochs", "bytes per image and view", "files", "logit error")
    if not each.is_cached:
        return dict.fromkeys(names, "")
    figures = found[each]
    values = (
        f"{median(column(figures, 'build_s')):.1f}",
        break_even(each, found),
        f"{figures[0]['bytes_per_view']:,.1f}",
        f"{figures[0]['files']:,}",
        f"{max(column(figures, 'logit_error')):.1e}",
    )
    return dict(zip(names, values, strict=True))


def rows_of(workload: str, found: dict[Contestant, list[Figures]]) -> list[dict[str, Any]]:
    """One row per contestant; ratios are edgekd's speed over its speed, seed by seed."""
    for figures in chain.from_iterable(found.values()):
        figures["warm_s"] = median(figures["epoch_s"][1:])
    own = [each for each in found if each.script == "edgekd_run" and each.is_cached == (workload != "live")]
    speeds = {each: column(figures, "speed") for each, figures in found.items()}
    rows = []
    for each, figures in found.items():
        chosen = {str(one.get("chosen", "")).removeprefix("format: ") for one in figures} - {""}
        row = {
            "tool": each.name,
            "format": f"its own choice: {', '.join(sorted(chosen))}" if each.precision == "auto" else each.format,
            "images/s": f"{median(speeds[each]):,.0f}",
        }
        for mine in own:
            words = "fp32" if mine.precision == "fp32" else "its own choice"
            row[f"edgekd in {words} / it [95 %]"] = "" if each == mine else ratio(speeds[mine], speeds[each])
        row |= {} if workload == "live" else cache_cells(each, found)
        row |= {
            "first step, s": f"{median(column(figures, 'first_step_s')):.1f}",
            "peak memory, MB": f"{median(column(figures, 'peak_rss_mb')):,.0f}",
            "loss": f"{fmean(column(figures, 'loss')):.3f}",
            "validation top-1": f"{fmean(column(figures, 'val_top1')):.2%}",
            "gate": gate(figures, found[PLAIN_LIVE], list(found.values())),
        }
        rows.append(row)
    return rows
