"""What a finished run tells at its end."""

from typing import Any

from edgekd.report import Cell, Result, Table
from edgekd.runs import Run


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
        "parents": manifest["parents"],
        **result,
    }
    rows = [
        ("model", data["model"]),
        ("data", data["data"]),
        ("parameters", data["params"]),
        ("multiply-adds per image", data["macs"]),
        ("test accuracy", f"{result['test_top1']:.2%} of {result['test_images']:,} images"),
        *_more_rows(result),
        ("validation accuracy", f"{result['val_top1']:.2%} (epoch {result['best_epoch']}, chosen by it)"),
        ("training", f"{result['train_seconds']:.0f} s, {result['images_per_second']:,.0f} images/s"),
        ("run", str(run.path)),
    ]
    return Result(data, (Table(f"edgekd {manifest['command']}", ("", ""), rows),))


def _more_rows(result: dict[str, Any]) -> list[tuple[str, Cell]]:
    """Further figures of the test, where the run knows them."""
    names = {"test_top5": "top-5", "test_balanced_accuracy": "balanced accuracy", "test_macro_f1": "macro-F1"}
    return [(words, f"{result[name]:.2%}") for name, words in names.items() if name in result]
