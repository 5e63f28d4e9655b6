"""`edgekd cache info`: all that a cache's plan and lists say, and whether its parents are still what they were."""

from pathlib import Path
from typing import Any

from edgekd.cache.fit import other_versions
from edgekd.cache.listing import match
from edgekd.cache.state import State, read_state
from edgekd.compute.float8 import Float8Share
from edgekd.config import Caches, Data
from edgekd.data.sources import open_data
from edgekd.declaration import from_dict
from edgekd.errors import BadInput, CacheError, EdgekdError
from edgekd.images.imageset import ImageData
from edgekd.report import Cell, Reporter, Result, Table
from edgekd.runs import environment, folder_bytes
from edgekd.teachers.source import as_it_is_now

UNCHANGED, NOT_THERE = "unchanged", "not there any more"


def tell_all(folder: Path, config: Caches, report: Reporter) -> Result:
    """Everything of the cache at `folder`; raises CacheError when it is damaged."""
    state = read_state(folder)
    plan, size = state.plan, folder_bytes(folder)
    written = sum(map(len, state.written))
    versions = plan.compute.get("versions", {})
    data: dict[str, Any] = {
        "cache": str(folder),
        "state": str(state),
        "digest": plan.digest(),
        "teacher": {name: plan.teacher.get(name) for name in ("name", "model", "place", "sha256", "code", "feeding")},
        "teacher_now": teacher_now(state),
        "data": {**plan.data, "images": state.rows, "classes": plan.classes},
        "data_now": data_now(state, config, report),
        "view_recipe": plan.views,
        "views": state.views,
        "store": plan.store,
        "topk": plan.topk,
        "topk_error": plan.topk_error,
        "columns": {name: list(shape) for name, shape in plan.columns.items()},
        "extras": list(plan.extras),
        "batch_size": plan.batch_size,
        "rows_per_shard": plan.rows_per_shard,
        "compute": plan.compute,
        "versions_changed": other_versions(versions, environment()["packages"]),
        "parts": [{"start": part.start, "stop": part.stop, "digest": part.digest} for part in state.parts],
        "shards": len(state.shards),
        "size_bytes": size,
        "bytes_per_image_view": round(size / written, 2) if written else None,
    }
    return Result(data, [_table(data)])


def teacher_now(state: State) -> str:
    """Whether the teacher's weights and code are what they were: `unchanged`, or what became of them."""
    plan = state.plan
    now = as_it_is_now(plan)
    if now is None:
        return NOT_THERE
    words = {"sha256": "its weights changed", "code": "its code changed"}
    return "; ".join(text for key, text in words.items() if now[key] != plan.teacher.get(key)) or UNCHANGED


def open_again(state: State, config: Caches, report: Reporter) -> ImageData:
    """The data a cache was made from, as it is now; raises DataError when it cannot be opened."""
    options = state.plan.data["options"]
    if config.data is not None:
        options = options | {"data": config.data}
    return open_data(from_dict(Data, options, str(state.folder / "plan.json")), report)


def data_now(state: State, config: Caches, report: Reporter) -> str:
    """Whether the images are what they were: `unchanged`, how many joined, or what became of them."""
    try:
        data = open_again(state, config, report)
    except EdgekdError as error:
        return f"{NOT_THERE} ({error.problem})" if isinstance(error, BadInput) else error.problem
    try:
        new = len(match(state.folder, state.parts, data.listing).new)
    except CacheError as error:
        return error.problem.removeprefix(f"{state.folder}: ")
    if list(data.classes) != state.plan.data["classes"]:
        return "other classes"
    return f"{new:,} images joined it" if new else UNCHANGED


def _table(data: dict[str, Any]) -> Table:
    teacher, images, compute = data["teacher"], data["data"], data["compute"]
    recipe = ", ".join(f"{name} {value}" for name, value in data["view_recipe"].items())
    columns = ", ".join(f"{name} {shape}" if shape else name for name, shape in data["columns"].items())
    each = data["bytes_per_image_view"]
    rows: list[tuple[str, Cell]] = [
        ("state", data["state"]),
        ("teacher", f"{teacher['name']} ({teacher['model']}, {teacher['place']})"),
        ("its weights", f"{teacher['sha256'][:16]}..., {data['teacher_now']}"),
        ("its input", _input(teacher["feeding"])),
        ("data", f"{images['name']} ({images['options']['data']}), {data['data_now']}"),
        ("images", f"{images['images']:,} of {images['classes']:,} classes{_joined(data['parts'])}"),
        ("canvas", f"{images['canvas']} x {images['canvas']} x {images['channels']}"),
        ("views", f"{data['views']}: {recipe}"),
        ("store", data["store"] + (f", the {data['topk']} largest" if data["topk"] else "")),
        ("columns of a row", columns),
        ("computed", _computed(compute) + f", batches of {data['batch_size']:,}"),
        ("versions", _versions(compute.get("versions", {}), data["versions_changed"])),
        ("shards", f"{data['shards']:,} of up to {data['rows_per_shard']:,} rows"),
        ("size", f"{data['size_bytes'] / 1e6:,.2f} MB" + (f", {each:.1f} bytes per image and view" if each else "")),
        ("digest", data["digest"]),
    ]
    for temperature, error in data["topk_error"].items():
        rows.append((f"error of the KD gradient at T={temperature}", f"{error:.1%}"))
    return Table(f"edgekd cache info {data['cache']}", ("", ""), rows)


def _joined(parts: list[dict[str, Any]]) -> str:
    sizes = [f"{part['stop'] - part['start']:,}" for part in parts]
    return f" (listed {' + '.join(sizes)})" if len(sizes) > 1 else ""


def _input(feeding: dict[str, Any] | None) -> Cell:
    if not feeding or "mean" not in feeding:
        return None
    mean, std = (", ".join(f"{value:.3f}" for value in feeding[name]) for name in ("mean", "std"))
    return f"{feeding['input_size']} x {feeding['input_size']}, mean {mean}, std {std}"


def _computed(compute: dict[str, Any]) -> str:
    if compute["precision"] == "imported":
        return "elsewhere, and imported"
    place = compute.get("device", "cpu")
    share = f" ({Float8Share(**compute['float8'])})" if "float8" in compute else ""
    return f"{compute['precision']}{share} {compute['memory_format']}, threads {compute['threads']}, {place}"


def _versions(versions: dict[str, str], changed: list[str]) -> str:
    told = ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) or "not known"
    return told + (f" (changed: {'; '.join(changed)})" if changed else "")
