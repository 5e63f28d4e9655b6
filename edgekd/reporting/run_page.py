"""The page on a run, from its report.json alone."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgekd.report import Cell, Table
from edgekd.reporting.blocks import Block, Gallery, Grid, Page, Picture, Plot, Section, Text, percent, shown

MOST_IN_TABLE = 20
"""Classes up to which the confusion matrix is a table."""
NOT_LOSSES = ("epoch", "step", "best", "val_top1", "images_per_second")
"""Figures of an epoch that no loss axis fits."""

Facts = Mapping[str, Any]


def run_page(facts: Facts) -> Page:
    """The page; sections of which nothing is known are left out."""
    quality, data = facts["quality"], facts["data"]
    lead = (
        f"{facts['model']['name']} on {data['name']}, {data['split']}: {percent(quality['top1'])} of "
        f"{quality['count']:,} images right. Made by edgekd {facts['edgekd']}, {facts['created']}."
    )
    sections = [
        Section("Summary", [Grid(_summary(facts))]),
        Section("Learning curves", list(_curves(facts["epochs"], facts["result"].get("best_epoch")))),
        Section("By class", list(_by_class(quality))),
        Section("Confusion", list(_confusion(quality))),
        Section("Calibration", list(_calibration(quality["calibration"]))),
        Section("Teacher and student", list(_teaching(facts))),
        Section(
            "Images", [_gallery(title, found) for name, title in GALLERIES.items() if (found := facts["images"][name])]
        ),
        Section("Corrupted images", list(_corruptions(facts["corruptions"]))),
        Section("Cost", list(_cost(facts))),
        Section("Where it comes from", list(_provenance(facts["provenance"]))),
        Section("Commands", [Text(facts["commands"], is_code=True)] if facts["commands"] else []),
    ]
    return Page(f"Report on {facts['run']}", lead, [each for each in sections if each.blocks], facts)


GALLERIES = {"mistakes": "Surest mistakes", "doubts": "Most doubtful: the two likeliest classes are closest"}


def _summary(facts: Facts) -> Table:
    quality, cost, teacher = facts["quality"], facts["cost"], facts["teacher"]
    rows: list[list[Cell]] = [["accuracy", percent(quality["top1"])]]
    if "top5" in quality:
        rows.append(["top-5", percent(quality["top5"])])
    rows += [
        ["macro precision", percent(quality["macro"]["precision"])],
        ["macro recall (balanced accuracy)", percent(quality["macro"]["recall"])],
        ["macro F1", percent(quality["macro"]["f1"])],
        ["cross-entropy, nats", quality["loss"]],
        ["expected calibration error", percent(quality["calibration"]["ece"])],
    ]
    if teacher:
        rows += [
            ["teacher's accuracy", percent(teacher["top1"])],
            ["same answer as the teacher", percent(teacher["agreement"])],
        ]
    rows += [["parameters", cost["params"]], ["multiply-adds per image", cost["macs"]]]
    return Table("", ("", ""), rows)


def _curves(epochs: Sequence[Facts], best: int | None) -> Iterator[Block]:
    if not epochs:
        return
    places = [row["epoch"] for row in epochs]
    names = [name for name in dict.fromkeys(name for row in epochs for name in row) if _is_loss(name)]
    losses = {name: [row.get(name) for row in epochs] for name in sorted(names)}
    tops = [row.get("val_top1") for row in epochs]
    last = epochs[-1]
    words = f"Losses over {len(epochs)} epochs; at the end " + ", ".join(
        f"{name} {shown(values[-1])}" for name, values in losses.items()
    )
    common = {"x": places, "xlabel": "epoch", "mark": best}
    yield Plot("Losses", words, "curves", {**common, "series": losses, "ylabel": "loss, nats"})
    if any(each is not None for each in tops):
        words = f"Validation accuracy over {len(epochs)} epochs, {percent(last.get('val_top1'))} at the end"
        words += f"; epoch {best} was kept" if best is not None else ""
        series = {"validation top-1": tops}
        yield Plot(
            "Validation accuracy", words, "curves", {**common, "series": series, "ylabel": "top-1", "ratio": True}
        )


def _is_loss(name: str) -> bool:
    """Whether a figure of an epoch is a loss; `set_...` are settings that a ramp changes."""
    return name not in NOT_LOSSES and not name.startswith("set_")


def _by_class(quality: Facts) -> Iterator[Block]:
    rows = sorted(quality["classes"], key=lambda row: (row["images"] == 0, row["recall"]))
    macro = quality["macro"]
    table: list[list[Cell]] = [
        [row["class"], row["images"], *(percent(row[name]) for name in ("precision", "recall", "f1"))] for row in rows
    ]
    table.append(["macro average", quality["count"], *(percent(macro[name]) for name in ("precision", "recall", "f1"))])
    yield Grid(Table("The lowest recall first", ("class", "images", "precision", "recall", "F1"), table))
    worst = rows[:MOST_IN_TABLE]
    words = f"Recall and precision of {len(worst)} classes, the lowest recall first, from {worst[0]['class']} "
    yield Plot(
        "Recall and precision" + (f" of the {MOST_IN_TABLE} worst" if len(rows) > MOST_IN_TABLE else ""),
        words + f"({percent(worst[0]['recall'])}) to {worst[-1]['class']} ({percent(worst[-1]['recall'])})",
        "bars",
        {
            "names": [row["class"] for row in worst],
            "series": {"recall": [row["recall"] for row in worst], "precision": [row["precision"] for row in worst]},
            "xlabel": "",
            "ratio": True,
        },
    )


def _confusion(quality: Facts) -> Iterator[Block]:
    names, counts = [row["class"] for row in quality["classes"]], quality["confusion"]
    if counts is not None and len(names) <= MOST_IN_TABLE:
        shares = [_shares(row) for row in counts]
        rows: list[list[Cell]] = [[name, *row] for name, row in zip(names, counts, strict=True)]
        table = Table("Images by labelled class (rows) and answered class (columns)", ("labelled", *names), rows)
        yield Grid(table, [[None, *row] for row in shares])
    elif counts is not None:
        words = f"Share of each of {len(names)} labelled classes answered with each class; the diagonal is right"
        yield Plot("Confusion", words, "heatmap", {"values": [_shares(row) for row in counts]})
    pairs: list[list[Cell]] = [
        [each["class"], each["answer"], each["images"], percent(each["share"])] for each in quality["confused"]
    ]
    if pairs:
        yield Grid(Table("Mistaken most often", ("labelled", "answered", "images", "share of the class"), pairs))


def _shares(row: Sequence[int]) -> list[float]:
    return [each / max(sum(row), 1) for each in row]


def _calibration(found: Facts) -> Iterator[Block]:
    filled = [each for each in found["bins"] if each["images"]]
    words = (
        f"Accuracy in {len(filled)} bins of confidence beside the diagonal; expected calibration error "
        f"{percent(found['ece'])}"
    )
    yield Plot("Reliability", words, "reliability", {"bins": found["bins"]})
    rows: list[list[Cell]] = [
        ["expected calibration error", percent(found["ece"])],
        ["largest gap of a bin", percent(found["largest_gap"])],
        ["mean confidence", percent(found["mean_confidence"])],
        ["Brier score", found["brier"]],
    ]
    yield Grid(Table("", ("", ""), rows))
    bins: list[list[Cell]] = [
        [
            f"{each['low']:.0%} to {each['high']:.0%}",
            each["images"],
            percent(each["confidence"]),
            percent(each["accuracy"]),
        ]
        for each in filled
    ]
    yield Grid(Table("Bins with images", ("confidence", "images", "mean confidence", "accuracy"), bins))


def _teaching(facts: Facts) -> Iterator[Block]:
    teacher, doubted = facts["teacher"], facts["suspects"]
    if teacher:
        rows: list[list[Cell]] = [
            ["teacher", f"{teacher['name']} ({teacher['model']})"],
            ["teacher's accuracy", percent(teacher["top1"])],
            ["same answer", percent(teacher["agreement"])],
            ["KL(teacher, student), nats", teacher["kl"]],
            ["both right", teacher["both_right"]],
            ["only the student right", teacher["only_student_right"]],
            ["only the teacher right", teacher["only_teacher_right"]],
            ["both wrong", teacher["both_wrong"]],
        ]
        yield Grid(Table("On the same images", ("", ""), rows))
    if doubted:
        words = (
            f"{doubted['images']:,} of {doubted['of']:,} training images have a label that the teacher contradicts: "
            f"it gives another class at least {doubted['sure']:.0%} (mean of {doubted['views']} cached views). "
            "Their labels may be wrong. The teacher was trained on these labels, so it misses some."
        )
        yield Text([words])
        if doubted["listed"]:
            pictures = [Picture(each["thumbnail"], _doubt(each)) for each in doubted["listed"]]
            yield Gallery("Suspect labels", pictures)


def _gallery(title: str, images: Sequence[Facts]) -> Gallery:
    return Gallery(title, [Picture(each["thumbnail"], _caption(each)) for each in images])


def _doubt(each: Facts) -> str:
    return f"{each['image']}: labelled {each['class']}, teacher {each['answer']} {each['confidence']:.0%}"


def _caption(each: Facts) -> str:
    words = f"{each['image']}: labelled {each['class']}, answered {each['answer']} {each['confidence']:.0%}"
    if each["answer"] == each["class"] or each["second_confidence"] > each["confidence"] / 2:
        words += f", then {each['second']} {each['second_confidence']:.0%}"
    if "teacher" in each:
        words += f"; teacher {each['teacher']['answer']} {each['teacher']['confidence']:.0%}"
    return words


def _corruptions(found: Facts | None) -> Iterator[Block]:
    if found is None:
        return
    who = list(found["clean"])
    first: list[Cell] = ["clean", "", *(percent(found["clean"][name]) for name in who)]
    rows = [first]
    for each in found["rows"]:
        rows.append([each["kind"], f"{each['strength']:g} ({each['unit']})", *(percent(each[name]) for name in who)])
    series = {name: [found["clean"][name], *(each[name] for each in found["rows"])] for name in who}
    words = f"Accuracy on {found['images']} images, clean and corrupted: " + "; ".join(
        f"{name} {percent(min(values))} to {percent(max(values))}" for name, values in series.items()
    )
    names = ["clean", *(f"{each['kind']} {each['strength']:g}" for each in found["rows"])]
    yield Plot("Accuracy", words, "bars", {"names": names, "series": series, "xlabel": "", "ratio": True})
    yield Grid(Table(f"Accuracy on {found['images']:,} images", ("corruption", "strength", *who), rows))


def _cost(facts: Facts) -> Iterator[Block]:
    cost, teacher = facts["cost"], facts["teacher"] or {}
    sizes = {each["file"]: each["size_bytes"] for each in cost["files"]}
    weights = sizes.pop("model.safetensors", None)
    rows: list[list[Cell]] = [
        ["parameters", cost["params"], teacher.get("params")],
        ["multiply-adds per image", cost["macs"], teacher.get("macs")],
        ["weights, kB", _kilobytes(weights), _kilobytes(teacher.get("size_bytes"))],
        *([name + ", kB", _kilobytes(size), None] for name, size in sizes.items()),
        ["training, s", cost["train_seconds"], teacher.get("train_seconds")],
        ["training, steps", cost["steps"], None],
        ["training, images/s", cost["images_per_second"], None],
        ["training, peak memory, MB", cost["peak_rss_mb"], None],
    ]
    columns = ("", "this network", "teacher")
    kept = 3 if teacher else 2
    yield Grid(Table("", columns[:kept], [row[:kept] for row in rows]))


def _kilobytes(size: int | None) -> float | None:
    return None if size is None else size / 1e3


def _provenance(found: Facts) -> Iterator[Block]:
    environment = found["environment"]
    rows: list[list[Cell]] = [
        *([each["role"], f"{each['place']}, {_hash(each['sha256'])}"] for each in found["parents"]),
        ["weights", _hash(found["weights_sha256"])],
        ["images", _hash(found["data_fingerprint"])],
        ["views", ", ".join(f"{name} {value}" for name, value in found["views"].items())],
        *([name, environment[name]] for name in ("edgekd", "python", "system", "cores") if name in environment),
        ["packages", ", ".join(f"{name} {version}" for name, version in environment.get("packages", {}).items())],
    ]
    yield Grid(Table("Parents, hashes and versions", ("", ""), [[name, _text(value)] for name, value in rows]))
    settings: list[list[Cell]] = [[name.replace("_", "-"), _text(value)] for name, value in found["config"].items()]
    yield Grid(Table("Options as they were settled", ("option", "value"), settings))


def _hash(digest: str | None) -> str:
    return f"SHA-256 {digest}" if digest else "no hash known"


def _text(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return shown(value) if isinstance(value, bool | float) or value is None else str(value)
