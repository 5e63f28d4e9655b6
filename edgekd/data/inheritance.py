"""Data options that a command takes over from the run or cache it starts from."""

from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from edgekd import config as options
from edgekd.declaration import fill_defaults
from edgekd.report import Reporter
from edgekd.runs import Run, same_data

ALL = 1_000_000_000
"""More images than any set has."""
DATA_FIELDS = tuple(each.name for each in fields(options.Data))


WithData = TypeVar("WithData", bound=options.Data)


def inherit_data(config: WithData, run: Run) -> WithData:
    """The data options of a run, for those that were left open; only when it is the same data."""
    return inherit_data_options(config, run.manifest()["data"]["options"], str(run.path / "manifest.json"))


def inherit_data_options(config: WithData, described: dict[str, Any], place: str) -> WithData:
    """The same from options read at `place`."""
    if config.data is not None and not same_data(config.data, described["data"]):
        return config
    # a record of before this option was made with the whole range
    return fill_defaults(config, {"grey_bits": "16"} | described, place, DATA_FIELDS)


def tell_limit(before: options.Data, after: options.Data, place: Path, report: Reporter) -> None:
    """Say that fewer images or labels are used because `place` was made with fewer."""
    if before.limit is None and after.limit is not None:
        report.note(f"data: --limit {after.limit}, as {place} was made; --limit {ALL} takes all images")
    if before.label_fraction == 1 and after.label_fraction < 1:
        share = f"--label-fraction {after.label_fraction:g}"
        report.note(f"data: {share}, as {place} was made; --label-fraction 1 keeps all labels")
