"""`edgekd cache merge`: shards written in other places join a cache, each one checked before it is taken."""

import os
import shutil
from pathlib import Path
from typing import Any

from edgekd.cache.fit import plan_differences
from edgekd.cache.folder import Shard, find_cache, seal
from edgekd.cache.listing import read_listing
from edgekd.cache.parts import part_path, read_parts
from edgekd.cache.plan import CachePlan, read_plan
from edgekd.cache.shards import read_shard
from edgekd.cache.state import State, read_state, views_asked
from edgekd.cache.status import commands
from edgekd.config import Caches
from edgekd.errors import CacheError, UsageError
from edgekd.report import Cell, Reporter, Result, Table
from edgekd.runs import append_line, atomic, check_writable, plain_name


def merge(config: Caches, report: Reporter) -> Result:
    """Join caches into the first one named, which is made when it is not there, and seal it when it is whole.

    Raises CacheError when they do not hold the same; the result has a failure when shards were left out as damaged.
    """
    target, folders = _places(config)
    states = [read_state(folder) for folder in folders]
    plan = _plan(target, states)
    for each in states:
        _check_same(target, plan, each, report)
    _join_parts(target, states)
    views = max(views_asked(target), *(each.views for each in states))
    if views_asked(target) < views:
        append_line(target / "log.jsonl", {"views": views})
    taken, damaged = _join_shards(target, states, report)
    state = read_state(target)
    if state.shards and not state.missing:
        seal(target, plan, state.parts, state.views)
        state = read_state(target)
    data: dict[str, Any] = {
        "cache": str(target),
        "state": str(state),
        "finished": state.is_finished,
        "views": state.views,
        "shards": len(state.shards),
        "shards_taken": taken,
        "missing": [{"view": shard.view, "shard": shard.number} for shard in state.missing],
        "damaged": damaged,
    }
    failure = _damage(target, damaged) if damaged else None
    return Result(data, [_table(data)], [*damaged, *_left(state)], failure)


def _places(config: Caches) -> tuple[Path, list[Path]]:
    name, *others = config.names
    if not others:
        raise UsageError("cache merge: one name", "edgekd cache merge NAME FOLDER... joins the folders into NAME")
    folders = [find_cache(config.caches, each) for each in others]
    try:
        target = find_cache(config.caches, name)
    except CacheError:
        target = config.caches / plain_name(name)
        if target.exists() and any(target.iterdir()):
            raise CacheError(
                f"{target}: is there, but is not a cache, so it is left alone", "give a new name"
            ) from None
    for folder in folders:
        if folder.resolve() == target.resolve():
            raise UsageError(f"cache merge: {folder} into itself", "name the others after the first")
    check_writable(target)
    return target, folders


def _plan(target: Path, states: list[State]) -> CachePlan:
    """The plan of the target; where it has none yet, the first one's becomes its."""
    if not (target / "plan.json").is_file():
        for each in states[1:]:
            _refuse_other(states[0].folder, states[0].plan, each)
        states[0].plan.save(target)
    return read_plan(target)


def _refuse_other(target: Path, plan: CachePlan, state: State) -> None:
    if state.plan.digest() != plan.digest():
        told = "; ".join(plan_differences(plan, state.plan)) or "their plans"
        raise CacheError(
            f"{target} and {state.folder} do not hold the same: they differ in {told}",
            "caches of one plan can be joined: make them with the same options and the same teacher",
        )


def _check_same(target: Path, plan: CachePlan, state: State, report: Reporter) -> None:
    """Raise CacheError when a cache holds something else; say what was computed otherwise."""
    _refuse_other(target, plan, state)
    names = sorted({*plan.compute, *state.plan.compute} - {"versions"})
    pairs = [(name, plan.compute.get(name), state.plan.compute.get(name)) for name in names]
    here, there = plan.compute.get("versions", {}), state.plan.compute.get("versions", {})
    pairs += [(name, here.get(name), there.get(name)) for name in sorted({*here, *there})]
    told = [f"{name} {one} and {other}" for name, one, other in pairs if one != other]
    if told:
        report.warn(f"{state.folder}: made with other means ({', '.join(told)}): the last bits of its rows may differ")


def _join_parts(target: Path, states: list[State]) -> None:
    """Bring the lists of images together; raises CacheError when a part is of other images."""
    for state in states:
        known = read_parts(target)
        for number, part in enumerate(state.parts):
            if number >= len(known):
                _copy_part(state.folder, target, number)
            elif known[number].digest != part.digest:
                raise CacheError(
                    f"{target} and {state.folder} are of other images: {_first_other(target, state, number)}",
                    "make them from the same files, with the same --limit and --val-fraction",
                )


def _copy_part(source: Path, target: Path, number: int) -> None:
    path = part_path(source, number)
    for each in (path.with_suffix(".partners"), path):
        if each.is_file():
            with atomic(target / "parts" / each.name) as beside:
                shutil.copyfile(each, beside)


def _first_other(target: Path, state: State, number: int) -> str:
    one = read_listing(target, read_parts(target)[: number + 1])
    other = read_listing(state.folder, state.parts[: number + 1])
    pairs = zip(one.paths, one.hashes, other.paths, other.hashes, strict=False)
    for mine, mine_hash, theirs, theirs_hash in pairs:
        if (mine, mine_hash) != (theirs, theirs_hash):
            return f"{mine} and {theirs}" if mine != theirs else f"{mine} has other content"
    if len(one.paths) != len(other.paths):
        return f"{len(one.paths):,} and {len(other.paths):,} of them"
    return "they are split into training and validation otherwise"


def _join_shards(target: Path, states: list[State], report: Reporter) -> tuple[int, list[str]]:
    """Take every whole shard that is not there yet; how many, and what is wrong with those left out."""
    taken, damaged = 0, []
    wanted = [(state, shard) for state in states for shard in state.written]
    with report.stage("joining", len(wanted), "shards") as bar:
        for state, shard in wanted:
            if not shard.path(target).is_file():
                try:
                    read_shard(state.folder, shard, state.plan.columns, check=True)
                except CacheError as error:
                    damaged.append(error.problem)
                else:
                    _take(state.folder, target, shard)
                    taken += 1
            bar.advance()
    return taken, damaged


def _take(source: Path, target: Path, shard: Shard) -> None:
    """Link a shard, or copy it where the disks differ; never half."""
    with atomic(shard.path(target)) as beside:
        try:
            os.link(shard.path(source), beside)
        except OSError:
            shutil.copyfile(shard.path(source), beside)


def _damage(target: Path, damaged: list[str]) -> CacheError:
    return CacheError(
        f"{target}: {len(damaged)} damaged shards were left out", "copy them again and call the same command"
    )


def _left(state: State) -> list[str]:
    if state.is_finished:
        return [f"{state.folder}: whole, with {state.views} views of {state.rows:,} images"]
    return [f"{len(state.missing)} shards are still missing; merge others, or:", *commands(state)]


def _table(data: dict[str, Any]) -> Table:
    rows: list[tuple[str, Cell]] = [
        ("state", data["state"]),
        ("shards", f"{data['shards_taken']:,} taken, {len(data['missing']):,} of {data['shards']:,} missing"),
        ("views", data["views"]),
    ]
    return Table(f"edgekd cache merge {data['cache']}", ("", ""), rows)
