"""`edgekd cache status`: what of a cache is there, what is missing, what that will take, and how to go on."""

import shlex
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgekd.cache.leftovers import leftovers
from edgekd.cache.state import State, in_ranges, last_written, read_state, seconds_left, share_lines
from edgekd.config import Data, share_of
from edgekd.declaration import flag
from edgekd.report import Cell, Result, Table, in_time
from edgekd.runs import Run

MOST_COMMANDS = 8
DATA_FIELDS = tuple(each.name for each in fields(Data))


def tell_status(folder: Path) -> Result:
    """How far the cache at `folder` is; raises CacheError when it is damaged."""
    state = read_state(folder)
    left, written = seconds_left(state), last_written(state)
    data: dict[str, Any] = {
        "cache": str(folder),
        "state": str(state),
        "finished": state.is_finished,
        "views": state.views,
        "shards": len(state.shards),
        "shards_written": len(state.shards) - len(state.missing),
        "per_view": _per_view(state),
        "leftovers": [str(path.relative_to(folder)) for path in leftovers(folder)],
        "bytes_left": state.bytes_left,
        "last_written": None if written is None else datetime.fromtimestamp(written, UTC).isoformat("T", "seconds"),
        "seconds_left": None if left is None else round(left, 3),
        "commands": [] if state.is_finished else commands(state),
    }
    tables = [_summary(data), _views_table(data)] if state.missing else [_summary(data)]
    return Result(data, tables, _go_on(data))


def _per_view(state: State) -> list[dict[str, Any]]:
    missing: dict[int, list[int]] = {view: [] for view in range(state.views)}
    for shard in state.missing:
        missing[shard.view].append(shard.number)
    each = len(state.shards) // max(1, state.views)
    return [
        {"view": view, "shards": each, "written": each - len(numbers), "missing": numbers}
        for view, numbers in missing.items()
    ]


def _summary(data: dict[str, Any]) -> Table:
    rows: list[tuple[str, Cell]] = [
        ("state", data["state"]),
        ("shards", f"{data['shards_written']:,} of {data['shards']:,}"),
        ("last written", data["last_written"]),
    ]
    if data["leftovers"]:
        rows.append(("left by killed processes", ", ".join(data["leftovers"][:4])))
    if not data["finished"]:
        seconds = data["seconds_left"]
        rows.append(("still to write", f"{data['bytes_left'] / 1e6:,.2f} MB"))
        rows.append(("time left, one process", None if seconds is None else in_time(seconds)))
    return Table(f"edgekd cache status {data['cache']}", ("", ""), rows)


def _views_table(data: dict[str, Any]) -> Table:
    rows = [
        (row["view"], f"{row['written']} of {row['shards']}", in_ranges(row["missing"]) or "-")
        for row in data["per_view"]
        if row["missing"]
    ]
    return Table("Views that are not whole", ("view", "written", "missing"), rows)


def _go_on(data: dict[str, Any]) -> list[str]:
    if data["finished"]:
        return ["nothing is missing; edgekd cache verify checks what is there"]
    return ["it goes on with:", *(f"  {command}" for command in data["commands"])]


def commands(state: State) -> list[str]:
    """What completes a cache: one command, or one for each share that was begun and is not done."""
    words = ["edgekd", "cache-logits", "--name", state.folder.name]
    if state.folder.parent != Path("cache"):
        words += ["--caches", str(state.folder.parent)]
    words += ["--views", str(state.views)] if state.views else []
    words += _parents(state)
    command = shlex.join(words)
    world = _world(state)
    absent = set(state.missing)
    open_shares = [rank for rank in range(world) if absent & set(state.shards[rank::world])]
    if world == 1 or not open_shares:
        return [command]
    found = [f"{command} --shard {rank + 1}/{world}" for rank in open_shares[:MOST_COMMANDS]]
    more = len(open_shares) - len(found)
    return [*found, f"... and {more} more shares"] if more else found


def _world(state: State) -> int:
    """Among how many processes the work was shared last."""
    shares = share_lines(state.folder)
    return share_of(shares[-1])[1] if shares else 1


def _parents(state: State) -> list[str]:
    """The options that name the teacher and the data, where the teacher's own run would not give the same."""
    place = Path(state.plan.teacher["place"])
    is_run = Run(place).is_there
    known = Run(place).manifest()["data"]["options"] if is_run else {}
    words = ["--import" if state.plan.teacher.get("spec") is None else "--teacher", str(place)]
    for name in DATA_FIELDS:
        value = state.plan.data["options"].get(name)
        if value in (None, False) or (is_run and known.get(name) == value):
            continue
        words += [f"--{flag(name)}"] if value is True else [f"--{flag(name)}", str(value)]
    return words
