"""The closing tables of `edgekd evaluate`, whatever network answered."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd.config import Evaluate
from edgekd.errors import CheckpointError, UsageError
from edgekd.images.imageset import ImageData
from edgekd.report import Cell, Result, Table
from edgekd.runs import atomic, check_writable, write_json
from edgekd.runtimes.scores import Failure, Scores, Tally

SUFFIXES = (".csv", ".json")


def check_target(path: Path | None) -> None:
    """Raise UsageError for an unknown suffix of --failures, DataError for a place that cannot be written."""
    if path is None:
        return
    if path.suffix not in SUFFIXES or path.is_dir():
        raise UsageError(f"--failures {path}: not the name of a list", f"a name that ends in {' or '.join(SUFFIXES)}")
    check_writable(path.absolute().parent)


def conclude(model: str, data: ImageData, tally: Tally, config: Evaluate) -> Result:
    """The figures as tables and JSON; writes the list of wrong images where it is requested.

    Raises CheckpointError when the model gave answers that are no numbers.
    """
    scores = tally.scores()
    if scores.not_finite:
        raise CheckpointError(
            f"{model}: its answers to {scores.not_finite} of {scores.count} images are no finite numbers",
            "its weights are damaged, or the training diverged: train or export it again",
        )
    facts: dict[str, Any] = {"model": model, "data": data.name, "split": config.split, **scores.as_dict()}
    rows: list[tuple[str, Cell]] = [
        ("model", model),
        ("data", f"{data.name}, {config.split}, {scores.count:,} images"),
        ("accuracy", f"{scores.top1:.2%}"),
        *([] if scores.top5 is None else [("top-5", f"{scores.top5:.2%}")]),
        ("balanced accuracy", f"{scores.balanced_accuracy:.2%}"),
        ("macro-F1", f"{scores.macro_f1:.2%}"),
        ("cross-entropy", scores.loss),
    ]
    if config.failures is not None:
        write_failures(tally.failures, data, config, config.failures)
        facts["failures"] = {"file": str(config.failures), "images": len(tally.failures)}
        rows.append(("wrong images", f"{len(tally.failures):,}, listed in {config.failures}"))
    tables = [Table("edgekd evaluate", ("", ""), rows)]
    if config.per_class:
        facts["per_class"] = [vars(each) | {"class": name} for name, each in _by_name(scores, data)]
        tables.append(_class_table(scores, data))
    if config.confusion:
        counts = tally.confusion().tolist()
        facts["confusion"] = {"classes": list(data.classes), "counts": counts}
        tables.append(_confusion_table(counts, data.classes))
    return Result(facts, tables)


def _by_name(scores: Scores, data: ImageData) -> list[tuple[str, Any]]:
    return list(zip(data.classes, scores.classes, strict=True))


def _class_table(scores: Scores, data: ImageData) -> Table:
    """The worst recall first; classes without images last."""
    rows: list[list[Cell]] = []
    for name, each in sorted(_by_name(scores, data), key=lambda pair: (pair[1].images == 0, pair[1].recall)):
        recall = f"{each.recall:.2%}" if each.images else None
        rows.append([name, each.images, recall, f"{each.precision:.2%}", f"{each.f1:.2%}"])
    return Table("By class", ("class", "images", "recall", "precision", "F1"), rows, ("precision", "F1"))


def keeps_failures(config: Evaluate) -> bool:
    """Whether the wrong answers must be remembered one by one."""
    return config.failures is not None or config.confusion


def _confusion_table(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> Table:
    """Labelled classes down, answered classes across."""
    rows: list[list[Cell]] = [[name, *row] for name, row in zip(classes, counts, strict=True)]
    return Table("Confusion: labelled class (row) by answer (column)", ("class", *classes), rows)


def write_failures(failures: Sequence[Failure], data: ImageData, config: Evaluate, path: Path) -> None:
    """Write the wrong images, the surest mistakes first; raises DataError when the file cannot be written."""
    names = data.names_in(config.split)
    rows = [
        {
            "image": names[each.position],
            "class": data.classes[each.target],
            "answer": data.classes[each.answer],
            "confidence": round(each.confidence, 4),
        }
        for each in sorted(failures, key=lambda each: (-each.confidence, each.position))
    ]
    if path.suffix == ".json":
        write_json(path, {"model": config.model, "split": config.split, "failures": rows})
        return
    text = io.StringIO()
    table = csv.DictWriter(text, ("image", "class", "answer", "confidence"), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    with atomic(path) as beside:
        beside.write_text(text.getvalue(), encoding="utf-8", errors="surrogateescape")
