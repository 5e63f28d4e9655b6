"""What a distillation will take, from what a few steps took: epochs, the teacher's passes, and when a cache pays."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgekd.report import Cell, Table


@dataclass(frozen=True)
class Forecast:
    """Seconds of an epoch (its validation included) on labels alone, from a cache and with the teacher live, of the
    teacher's pass over one view, and of filling what the cache lacks; None where the teacher cannot be asked."""

    epochs: float
    plain_epoch_seconds: float
    cached_epoch_seconds: float
    live_epoch_seconds: float | None
    pass_seconds: float | None
    filling_seconds: float

    @property
    def cached_seconds(self) -> float:
        """The whole of it from a cache, filling included."""
        return self.filling_seconds + self.epochs * self.cached_epoch_seconds

    @property
    def live_seconds(self) -> float | None:
        """The whole of it with the teacher live."""
        return None if self.live_epoch_seconds is None else self.epochs * self.live_epoch_seconds

    @property
    def break_even_epoch(self) -> int | None:
        """The epoch by whose end filling the cache has paid; None: never, or the teacher cannot be asked."""
        if self.live_epoch_seconds is None:
            return None
        saved = self.live_epoch_seconds - self.cached_epoch_seconds
        return max(1, math.ceil(self.filling_seconds / saved)) if saved > 0 else None


def verdict(forecast: Forecast) -> str:
    """Cached or live, in words."""
    if forecast.live_epoch_seconds is None:
        return "the teacher cannot be asked live: its cache is all there is"
    if forecast.break_even_epoch is None:
        return "break-even: never, an epoch with the teacher live is no slower than one from the cache"
    if not forecast.filling_seconds:
        return "the cache is there already: it pays from the first epoch"
    return f"break-even: filling the cache has paid by the end of epoch {forecast.break_even_epoch:,}"


def in_words(seconds: float | None) -> str | None:
    """`0.42 s`, `75.3 s`, `12.5 min`, `3.2 h`."""
    if seconds is None:
        return None
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def tables_of(facts: Mapping[str, Any]) -> list[Table]:
    """The tables of a dry run's JSON object."""
    found = facts["forecast"]
    ways = ("cached", "live", "plain")
    times: list[list[Cell]] = [
        ["an epoch", *(in_words(found[f"{way}_epoch_seconds"]) for way in ways)],
        ["filling the cache first", in_words(found["filling_seconds"]), None, None],
        [f"all {found['epochs']:g} epochs", *(in_words(found[f"{way}_seconds"]) for way in ways)],
    ]
    columns = ("", "from the cache", "teacher live", "labels alone")
    return [Table("edgekd distill --dry-run", columns, times), Table("What it is about", ("", ""), _rows(facts))]


def _rows(facts: Mapping[str, Any]) -> list[list[Cell]]:
    cache, peaks, found = facts["cache"], facts["peak_rss_mb"], facts["forecast"]
    sizes = ", ".join(f"{store} {size / 1e6:,.2f} MB" for store, size in cache["size_bytes"].items())
    state = "is there" if cache["is_there"] else f"{cache['rows_left']:,} rows to fill"
    return [
        ["student", _model(facts["student"])],
        ["teacher", _model(facts["teacher"])],
        ["not there yet", facts["missing"]],
        ["data", f"{facts['data']}: {facts['images']:,} images to train on, {facts['images_in_a_view']:,} in a view"],
        ["steps", f"{facts['steps_per_epoch']:,} an epoch of {facts['batch_size']} images, {facts['format']}"],
        ["teacher's pass over a view", in_words(found["pass_seconds"])],
        ["cache", f"{cache['folder']}, {cache['views']} views, {cache['store']}: {state}"],
        ["size of the whole cache", sizes],
        ["free on that disk", f"{cache['free_bytes'] / 1e6:,.0f} MB{'' if cache['fits'] else ': too little'}"],
        ["peak memory", f"{peaks['student']:,.0f} MB, with the teacher {peaks['with_teacher']:,.0f} MB"],
        ["of it canvases, at most", f"{facts['canvases_mb']:,.1f} MB"],
    ]


def _model(found: Mapping[str, Any] | None) -> str | None:
    if found is None:
        return None
    macs = "" if found["macs"] is None else f", {found['macs']:,} multiply-adds per image"
    return f"{found['model']}: {found['params']:,} parameters{macs}"
