"""What a finished run tells at its end."""

from typing import Any

from edgekd.compute.float8 import Float8Share
from edgekd.report import Cell, Reporter, Result, Table, in_time
from edgekd.runs import Run
from edgekd.teachers.alone import describe_alone, find_alone


def summary(run: Run) -> Result:
    """The closing table and JSON object of a finished run."""
    manifest = run.manifest()
    result = manifest["result"]
    data = {
        "run": str(run.path),
        "command": manifest["command"],
        "model": manifest["model"]["name"],
        "data": manifest["data"]["name"],
        "params": manifest["params"],
        "macs": manifest["macs"],
        "method_params": manifest.get("method_params", 0),
        "parents": manifest["parents"],
        "precision": manifest["config"]["precision"],
        **({"float8": manifest["float8"]} if "float8" in manifest else {}),
        **result,
    }
    lesson: list[tuple[str, Cell]] = []
    if manifest["command"] == "distill":
        data |= _lesson(run, manifest)
        lesson = [*_teacher_rows(data["teacher_quality"]), *_alone_rows(data["alone"])]
    rows = [
        ("model", data["model"]),
        ("data", data["data"]),
        ("parameters", data["params"]),
        *([("parameters of the method, not kept", data["method_params"])] if data["method_params"] else []),
        ("multiply-adds per image", data["macs"]),
        *_format_rows(manifest),
        *_accuracy_rows(result, lesson),
        ("training", f"{in_time(result['train_seconds'])}, {result['images_per_second']:,.0f} images/s"),
        ("run", str(run.path)),
    ]
    return Result(data, (Table(f"edgekd {manifest['command']}", ("", ""), rows),))


def _format_rows(manifest: dict[str, Any]) -> list[tuple[str, Cell]]:
    """The number format, where it is not the usual one."""
    precision = manifest["config"]["precision"]
    if "float8" in manifest:
        return [("number format", f"fp8, {Float8Share(**manifest['float8'])}")]
    return [("number format", precision)] if precision == "fp16" else []


def _accuracy_rows(result: dict[str, Any], lesson: list[tuple[str, Cell]]) -> list[tuple[str, Cell]]:
    """Test and validation, each where it had labelled images."""
    test: list[tuple[str, Cell]] = [("test accuracy", "not known: no labelled images")]
    if result["test_top1"] is not None:
        test = [("test accuracy", f"{result['test_top1']:.2%} of {result['test_images']:,} images")]
    chosen: Cell = f"epoch {result['best_epoch']}, the last: there are no labels to choose by"
    if result["val_top1"] is not None:
        epoch = f"epoch {result['best_epoch']}, chosen by it"
        chosen = f"{result['val_top1']:.2%} ({epoch if result['best_epoch'] else 'of the start: no epoch was better'})"
    return [*test, *lesson, *_more_rows(result), ("validation accuracy", chosen)]


def _lesson(run: Run, manifest: dict[str, Any]) -> dict[str, Any]:
    """What a distilled student is to be measured by: its teacher, and a run of the same model on labels alone."""
    steps = manifest["result"].get("steps")
    alone = find_alone(run.path.parent, manifest["model"]["name"], manifest["data"]["fingerprint"], steps)
    return {
        "teacher_quality": manifest.get("teacher_quality"),
        "alone": None if alone is None else describe_alone(alone),
    }


def _teacher_rows(quality: dict[str, Any] | None) -> list[tuple[str, Cell]]:
    """The teachers' accuracy: of their runs where these were tested on the same images, else as the cache shows it."""
    if not quality:
        return []
    rows: list[tuple[str, Cell]] = [
        ("teacher's test accuracy", f"{each['test_top1']:.2%} ({each['name']})")
        for each in quality["teachers"]
        if each.get("test_top1") is not None
    ]
    if len(rows) == len(quality["teachers"]) or quality["train_top1"] is None:
        return rows
    names = " + ".join(each["name"] for each in quality["teachers"])
    told = f"{quality['train_top1']:.2%} of {quality['train_images']:,} training images ({names})"
    return [*rows, ("teacher's accuracy", told)]


def _alone_rows(alone: dict[str, Any] | None) -> list[tuple[str, Cell]]:
    if alone is None:
        return []
    return [("alone, test accuracy", f"{alone['test_top1']:.2%} ({alone['run']}, {alone['steps']:,} steps)")]


def tell_no_gain(result: Result, report: Reporter) -> None:
    """Warn at the end of a distillation whose student is not better than the same model on labels alone."""
    data = result.data
    alone, own = data.get("alone"), data.get("test_top1")
    if alone is None or own is None or own > alone["test_top1"]:
        return
    report.warn(
        f"distilled, {data['model']} is not better than alone: {own:.2%} after {data['steps']:,} steps, alone "
        f"{alone['test_top1']:.2%} after {alone['steps']:,} ({alone['run']})"
    )


def _more_rows(result: dict[str, Any]) -> list[tuple[str, Cell]]:
    """Further figures of the test, where the run knows them."""
    names = {"test_top5": "top-5", "test_balanced_accuracy": "balanced accuracy", "test_macro_f1": "macro-F1"}
    return [(words, f"{result[name]:.2%}") for name, words in names.items() if name in result]
