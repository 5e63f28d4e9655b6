"""`edgekd runs`: list the runs, show one, compare some, remove some. Reads small files only and loads no torch."""

import math
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgekd.config import Run as RunOptions
from edgekd.config import Runs, Shell
from edgekd.errors import CheckpointError, UsageError
from edgekd.reading import read_lines
from edgekd.report import Cell, Reporter, Result, Table, in_time
from edgekd.runs import Run, clear, everything, find, folder_bytes
from edgekd.training.claim import holding

OWN_FILES = (
    *("manifest.json", "metrics.jsonl", "last", "*.safetensors", "*.onnx", "*.onnx.data", "*sample.npz"),
    *("predict*.py", "*.json", "*.md", "*.html", "events.*", ".*.part"),
)
"""What may lie in a run's folder; anything else keeps it from being removed."""
UNRELATED = {each.name for each in (*fields(Shell), *fields(RunOptions))}
"""Options that say where a run lies and how its command speaks, not what was trained."""
FIGURES = ("test_top1", "val_top1", "best_epoch", "train_seconds", "images_per_second", "peak_rss_mb")


def run(config: Runs, report: Reporter) -> Result:
    """Do what is asked; raises CheckpointError for what is no run, UsageError for a wrong number of names."""
    if config.action == "ls":
        return _list(config)
    found = [find(config.runs, name) for name in dict.fromkeys(config.names)]
    if config.action == "compare" and not found:
        found = everything(config.runs)
    least = 2 if config.action == "compare" else 1
    if len(found) < least:
        raise UsageError(f"runs {config.action}: which {'ones' if least > 1 else 'one'}?", "edgekd runs ls names them")
    if config.action == "rm":
        return _remove(found)
    if config.action == "compare":
        return _compare([describe(each) for each in found])
    if len(found) > 1:
        raise UsageError(f"runs show: {len(found)} names", "give one; edgekd runs compare takes several")
    return _show(found[0])


def describe(found: Run) -> dict[str, Any]:
    """Facts of a run; what its manifest does not have is None. Raises CheckpointError when the manifest is damaged."""
    manifest = found.manifest()
    model, data, result = (manifest.get(key) or {} for key in ("model", "data", "result"))
    written = (found.path / "manifest.json").stat().st_mtime
    facts = {
        "name": found.path.name,
        "path": str(found.path),
        "command": manifest.get("command"),
        "state": manifest.get("status"),
        "model": model.get("name"),
        "data": data.get("name"),
        "classes": len(model.get("classes") or ()) or None,
        "from": parents(manifest),
        "params": manifest.get("params"),
        "macs": manifest.get("macs"),
        **{name: _finite(result.get(name)) for name in FIGURES},
        "size_bytes": folder_bytes(found.path),
        "written": datetime.fromtimestamp(written, UTC).isoformat("T", "seconds"),
        "exports": {path.name: path.stat().st_size for path in sorted(found.path.glob("*.onnx")) if path.is_file()},
    }
    options = manifest.get("config") or {}
    return facts | {"options": {key: value for key, value in options.items() if key not in UNRELATED}}


def _finite(value: Any) -> Any:  # noqa: ANN401
    return None if isinstance(value, float) and not math.isfinite(value) else value


def parents(manifest: dict[str, Any]) -> list[str]:
    """The names of what a run was made from: runs, caches, weight files."""
    return list(dict.fromkeys(_named(manifest.get("parents") or {})))


def _named(value: Any) -> Iterator[str]:  # noqa: ANN401
    if isinstance(value, list):
        for each in value:
            yield from _named(each)
    elif isinstance(value, dict):
        place = next((value[key] for key in ("run", "place", "path", "cache", "weights") if key in value), None)
        name = value.get("name") or (Path(place).name if isinstance(place, str) else None)
        if isinstance(name, str):
            yield name
            return
        for each in value.values():
            yield from _named(each)


def _row(found: Run) -> dict[str, Any]:
    try:
        return describe(found)
    except CheckpointError as error:
        problem = error.problem.removeprefix(f"{found.path / 'manifest.json'}: ")
        facts = {"name": found.path.name, "path": str(found.path), "size_bytes": folder_bytes(found.path)}
        return facts | {"state": f"damaged: {problem}"}


def _list(config: Runs) -> Result:
    rows = [_row(each) for each in ([find(config.runs, name) for name in config.names] or everything(config.runs))]
    columns = ("name", "model", "data", "from", "test", "validation", "training", "parameters", "size", "state")
    cells = [
        (
            each["name"],
            each.get("model"),
            each.get("data"),
            ", ".join(each.get("from") or ()) or None,
            _percent(each.get("test_top1")),
            _percent(each.get("val_top1")),
            _time(each.get("train_seconds")),
            each.get("params"),
            _megabytes(each["size_bytes"]),
            each.get("state"),
        )
        for each in rows
    ]
    line = f"{len(rows)} runs in {config.runs}, {_megabytes(sum(each['size_bytes'] for each in rows))}"
    spare = ("validation", "from", "data", "parameters", "model", "size")
    return Result({"runs": rows}, [Table("Runs, oldest first", columns, cells, spare)] if rows else (), [line])


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.2%}"


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else in_time(seconds)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.2f} MB"


def _show(found: Run) -> Result:
    facts = describe(found)
    epochs = read_lines(found.metrics, CheckpointError)
    rows = [*_facts_table(facts), ("epochs recorded", len(epochs) or None)]
    rows += [(f"export {name}", _megabytes(size)) for name, size in facts["exports"].items()]
    options: list[tuple[str, Cell]] = [
        (name, _cell(value)) for name, value in sorted(facts["options"].items()) if value not in (None, False, [], "")
    ]
    data = facts | {"epochs_recorded": len(epochs), "epochs": epochs}
    return Result(data, [Table(f"edgekd runs show {found.path}", ("", ""), rows), Table("Options", ("", ""), options)])


def _facts_table(facts: dict[str, Any]) -> list[tuple[str, Cell]]:
    return [
        ("state", facts["state"]),
        ("made by", f"edgekd {facts['command']}" if facts["command"] else None),
        ("model", facts["model"]),
        ("data", facts["data"]),
        ("from", ", ".join(facts["from"]) or None),
        ("test accuracy", _percent(facts["test_top1"])),
        ("validation accuracy", _percent(facts["val_top1"])),
        ("best epoch", facts["best_epoch"]),
        ("training", _time(facts["train_seconds"])),
        ("images per second", None if facts["images_per_second"] is None else round(facts["images_per_second"])),
        ("peak memory, MB", facts["peak_rss_mb"]),
        ("parameters", facts["params"]),
        ("multiply-adds per image", facts["macs"]),
        ("size", _megabytes(facts["size_bytes"])),
        ("written", facts["written"]),
    ]


def _cell(value: Any) -> Cell:  # noqa: ANN401
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _compare(described: list[dict[str, Any]]) -> Result:
    """Figures side by side, and the options that differ."""
    columns = ("", *(each["name"] for each in described))
    tables = [_facts_table(each) for each in described]
    rows = [(lines[0][0], *(value for _, value in lines)) for lines in zip(*tables, strict=True)]
    names = sorted({name for each in described for name in each["options"]})
    differing = {
        name: [each["options"].get(name) for each in described]
        for name in names
        if any(each["options"].get(name) != described[0]["options"].get(name) for each in described)
    }
    shown = [(name, *map(_cell, values)) for name, values in differing.items()]
    told = [Table("Runs compared", columns, rows)]
    told += [Table("Options that differ", columns, shown)] if shown else []
    lines = () if shown else ("their options are the same",)
    return Result({"runs": described, "options_that_differ": differing}, told, lines)


def _remove(found: list[Run]) -> Result:
    for each in found:
        _check_own(each.path)
    sizes = {str(each.path): folder_bytes(each.path) for each in found}
    for each in found:
        with holding(each):
            clear(each.path)
    lines = [f"{name}: removed, {_megabytes(size)} freed" for name, size in sizes.items()]
    return Result({"removed": list(sizes), "freed_bytes": sum(sizes.values())}, lines=lines)


def _check_own(folder: Path) -> None:
    """Raise CheckpointError when there is more in the folder than a run."""
    if folder.is_symlink():
        hint = "remove the link by hand, or name what it leads to"
        raise CheckpointError(f"{folder}: a link to {folder.resolve()}", hint)
    for path in folder.iterdir():
        if not any(path.match(pattern) for pattern in OWN_FILES):
            raise CheckpointError(
                f"{folder}: holds {path.name}, which is no part of a run, so it is left alone",
                f"move it elsewhere, or remove {folder} by hand",
            )
