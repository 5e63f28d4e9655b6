"""`edgekd cache ls|status|rm`: from small files alone, without torch; the other actions: teachers/cache_actions.py."""

from pathlib import Path
from typing import Any

from edgekd.cache.folder import cache_names, check_named, find_cache, the_one
from edgekd.cache.plan import CachePlan
from edgekd.cache.state import read_state
from edgekd.cache.status import tell_status
from edgekd.config import Caches
from edgekd.errors import CacheError
from edgekd.report import Cell, Reporter, Result, Table
from edgekd.runs import clear, folder_bytes

OWN_FILES = ("plan.json", "manifest.json", "log.jsonl", "parts", "view-[0-9][0-9][0-9][0-9]*", ".*.part")
"""What may lie in a cache's folder; anything else keeps it from being removed."""


def run(config: Caches, report: Reporter) -> Result:
    """List, tell how far, remove; raises CacheError for what is no cache, UsageError for a wrong number of names."""
    if config.action == "ls":
        return _list(config)
    if config.action == "rm":
        check_named(config)
        return _remove(config)
    return tell_status(the_one(config))


def _list(config: Caches) -> Result:
    folders = [find_cache(config.caches, name) for name in config.names] or list(cache_names(config.caches))
    found = [_row(folder) for folder in folders]
    rows: list[list[Cell]] = [
        [
            each["name"],
            each["teacher"],
            each["data"],
            f"{each['images']:,} x {each['views']}" if each["views"] else None,
            each["store"],
            f"{each['size_bytes'] / 1e6:,.2f} MB",
            each["state"],
        ]
        for each in found
    ]
    columns = ["name", "teacher", "data", "images x views", "store", "size", "state"]
    total = sum(each["size_bytes"] for each in found)
    line = f"{len(found)} caches in {config.caches}, {total / 1e6:,.2f} MB"
    return Result(
        {"caches": found}, [Table("Caches", columns, rows, ("store", "teacher", "data"))] if found else (), [line]
    )


def _row(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": folder.name, "path": str(folder), "size_bytes": folder_bytes(folder)}
    unknown = dict.fromkeys(("teacher", "data", "images", "views", "store"))
    try:
        state = read_state(folder)
    except CacheError as error:
        problem = error.problem.removeprefix(f"{folder}: ")
        kind = problem if problem.startswith("cache format") else f"damaged: {problem}"
        return facts | unknown | {"state": kind, "finished": False}
    plan = state.plan
    facts |= {"teacher": plan.teacher["name"], "data": plan.data["name"], "images": state.rows, "views": state.views}
    return facts | {"store": store_words(plan), "state": str(state), "finished": state.is_finished}


def store_words(plan: CachePlan) -> str:
    """`topk 100 + pooled`: the number format and the further columns."""
    return " + ".join([f"{plan.store} {plan.topk}" if plan.topk else plan.store, *plan.extras])


def _remove(config: Caches) -> Result:
    folders = [find_cache(config.caches, name) for name in dict.fromkeys(config.names)]
    for folder in folders:
        _check_own(folder)
    sizes = {str(folder): folder_bytes(folder) for folder in folders}
    for folder in folders:
        clear(folder)
    lines = [f"{name}: removed, {size / 1e6:,.2f} MB freed" for name, size in sizes.items()]
    return Result({"removed": list(sizes), "freed_bytes": sum(sizes.values())}, lines=lines)


def _check_own(folder: Path) -> None:
    """Raise CacheError when there is more in the folder than a cache."""
    if folder.is_symlink():
        raise CacheError(f"{folder}: a link to {folder.resolve()}", "remove the link by hand, or name what it leads to")
    for path in folder.iterdir():
        if not any(path.match(pattern) for pattern in OWN_FILES):
            raise CacheError(
                f"{folder}: holds {path.name}, which is no part of a cache, so it is left alone",
                f"move it elsewhere, or remove {folder} by hand",
            )
