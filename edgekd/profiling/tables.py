"""The report as people read it: tables and lines, made from its JSON object alone."""

from collections.abc import Iterator, Sequence
from typing import Any

from edgekd.profiling.judge.budget import Check
from edgekd.profiling.judge.comparison import top1_of
from edgekd.profiling.measure.measuring import in_words
from edgekd.profiling.measure.quantiles import name_of, runs_needed
from edgekd.report import Cell, Table

Report = dict[str, Any]
SPARE_OF_LIMITS = ("note", "margin")
"""Columns of limits that a narrow terminal does without; the lines below the tables tell notes too."""


def tables_of(report: Report) -> list[Table]:
    """All tables that this report has something for."""
    models = report["models"]
    found = [_latency(models, report["percentile"]), _models(models)]
    if len(models) > 1:
        found.append(_side_by_side(models, report["percentile"]))
    for model in models:
        if model["operators"]:
            found += [_operators(model, "as_run"), _operators(model, "as_written")]
    if any(model["checks"] for model in models):
        found.append(_checks(models))
    if report["changes"]:
        found.append(_changes(report["changes"]))
    return found


def _latency(models: Sequence[Report], judged: float) -> Table:
    named = list(models[0]["measurements"][0]["latency_ms"]["percentiles"])
    columns = ["model", "batch", "threads", "runs", *named, "mean", "sd", "min", "max", "jitter", "images/s"]
    rows = [_latency_row(model["name"], each, named) for model in models for each in model["measurements"]]
    others = [name for name in named if name != name_of(judged)]
    spare = ["sd", "jitter", "max", "min", "runs", "mean", *reversed(others), "images/s"]
    return Table("Latency of one batch, ms", columns, rows, spare)


def _side_by_side(models: Sequence[Report], judged: float) -> Table:
    """What decides between files, one row each."""
    named = list(dict.fromkeys(["p50", name_of(judged)]))
    rows: list[list[Cell]] = []
    for model in models:
        figures = next(each for each in model["measurements"] if _is_judged(model, each))
        found = figures["latency_ms"]["percentiles"]
        values: list[Cell] = [found[name]["value"] if found.get(name) else None for name in named]
        energy = (model["energy"] or {}).get("mj_per_image")
        facts: list[Cell] = [model["name"], model["runtime"], model["precision"], top1_of(model), *values]
        tail: list[Cell] = [figures["memory_mb"]["peak"], model["size_bytes"] / 1e6, energy]
        rows.append([*facts, *tail, _speed(model["against_first"]), _verdict(model)])
    columns = ["model", "runtime", "precision", "top-1", *named, "peak MB", "size MB", "mJ", "times as fast", "verdict"]
    return Table("Side by side, ms", columns, rows, ["precision", "mJ", "size MB"])


def _is_judged(model: Report, figures: Report) -> bool:
    return all(figures[key] == model["judged"][key] for key in ("batch", "threads"))


def _speed(found: Report | None) -> str:
    if found is None:
        return "1"
    words = f"{found['ratio']:.2f} ({found['low']:.2f}-{found['high']:.2f})"
    return f"{words} slower here" if found["high"] < 1 else words


def _verdict(model: Report) -> str:
    return {True: "PASS", False: "FAIL", None: ""}[model["passed"]]


def _latency_row(name: str, figures: Report, named: Sequence[str]) -> list[Cell]:
    latency = figures["latency_ms"]
    percentiles = [row["value"] if (row := latency["percentiles"][each]) else None for each in named]
    spread = [latency[each] for each in ("mean", "sd", "min", "max", "jitter")]
    return [
        name,
        figures["batch"],
        figures["threads"],
        figures["runs"],
        *percentiles,
        *spread,
        figures["throughput_per_s"],
    ]


def _models(models: Sequence[Report]) -> Table:
    columns = [
        "model",
        "precision",
        "parameters",
        "MACs",
        "size MB",
        "load ms",
        "first ms",
        "peak MB",
        "added MB",
        "top-1",
    ]
    rows: list[list[Cell]] = []
    for model in models:
        first = model["measurements"][0]
        rows.append(
            [
                model["name"],
                model["precision"],
                model["params"],
                model["macs"],
                model["size_bytes"] / 1e6,
                first["load_ms"],
                first["first_ms"],
                first["memory_mb"]["peak"],
                first["memory_mb"]["added"],
                top1_of(model),
            ]
        )
    spare = ["first ms", "load ms", "added MB", "precision", "MACs", "peak MB", "parameters"]
    return Table("Models", columns, rows, spare)


def _operators(model: Report, how: str) -> Table:
    found = model["operators"]
    words = {"as_run": "as ONNX Runtime runs it", "as_written": "as written, its fusions off"}[how]
    rows: list[list[Cell]] = [
        [
            row["operator"],
            row["calls"],
            row["ms"],
            f"{row['share']:.1%}",
            row["macs"],
            row["output_bytes"] / 1e6,
            row["moved_bytes"] / 1e6,
            row["bound"] if row["reached"] is None else f"{row['bound']}, {row['reached']:.0%} of trial",
        ]
        for row in found[how]["by_operator"]
    ]
    return Table(
        f"{model['name']}, batch {found['batch']}: operators {words}",
        ["operator", "calls", "ms", "share", "MACs", "output MB", "moved MB", "limited by"],
        rows,
        ["output MB", "moved MB", "MACs", "limited by", "calls"],
    )


def _checks(models: Sequence[Report]) -> Table:
    rows: list[list[Cell]] = []
    for model in models:
        for check in map(check_of, model["checks"]):
            margin = None if check.margin is None else f"{check.margin:+.0%}"
            rows.append(
                [
                    model["name"],
                    f"{check.what}, {check.unit}" if check.unit else check.what,
                    whole(check.allowed),
                    check.value,
                    margin,
                    check.verdict,
                    check.note,
                ]
            )
    return Table("Limits", ["model", "what", "limit", "measured", "margin", "verdict", "note"], rows, SPARE_OF_LIMITS)


def whole(value: float | None) -> float | None:
    """A float without fraction as an int, so that 11,999 is not shown as 1.2e+04."""
    return int(value) if value is not None and value == int(value) else value


def check_of(stored: Report) -> Check:
    """A Check from its JSON values."""
    return Check(**{key: value for key, value in stored.items() if key != "margin"})


def _changes(changes: Sequence[Report]) -> Table:
    rows: list[list[Cell]] = [
        [
            each["model"],
            each["what"],
            each["before"],
            each["now"],
            each["ratio"],
            _interval(each),
            "REGRESSED" if each["regressed"] else "ok",
        ]
        for each in changes
    ]
    return Table(
        "Against the baseline",
        ["model", "what", "before", "now", "ratio", "95 %", "verdict"],
        rows,
        ["95 %", "before", "now"],
    )


def _interval(change: Report) -> str:
    if change["paired"]:
        return f"{change['low']:.3f}-{change['high']:.3f}"
    return "not paired" if change["what"].startswith("latency") else ""


def lines_of(report: Report) -> list[str]:
    """The sentences below the tables, the verdict last."""
    lines = [*_how(report), *_parity(report), *_accuracy(report), *_energy(report), *_features(report)]
    lines.append(report["statement"])
    if report["winner"]:
        lines.append(f"winner: {report['winner']['name']}, {report['winner']['reason']}")
    return [*lines, *_verdicts(report)]


def _how(report: Report) -> Iterator[str]:
    for model in report["models"]:
        for each in model["measurements"]:
            versions = each["versions"]
            yield (
                f"{model['name']}: {each['runs']} runs in {each['seconds']:.1f} s after {each['warmup_runs']} "
                f"for warm-up, {each['input_source']} ({each['different_inputs']} inputs in turn), "
                f"{in_words(each['batch'], each['threads'])}, {model['runtime']} {versions[model['runtime']]}, CPU"
            )
            missing = [
                f"{name} needs {runs_needed(float(name[1:]))} runs"
                for name, row in each["latency_ms"]["percentiles"].items()
                if row is None
            ]
            if missing:
                yield f"{model['name']}: left out, too few runs: {', '.join(missing)}; raise --duration"


def _parity(report: Report) -> Iterator[str]:
    for model in report["models"]:
        parity = model["parity"]
        if parity:
            verdict = "within" if parity["passed"] else "BEYOND"
            yield (
                f"{model['name']}: logits of the export's {parity['samples']} samples differ by at most "
                f"{parity['largest_difference']:.2g} here, {verdict} the tolerance of {parity['tolerance']:g}; "
                f"same top class in {parity['same_top1']:.1%}"
            )


def _accuracy(report: Report) -> Iterator[str]:
    for model in report["models"]:
        found = model["accuracy"]
        if found:
            yield f"{model['name']}: top-1 {found['top1']:.2%}, top-5 {found['top5']:.2%} on {found['images']} images"


def _energy(report: Report) -> Iterator[str]:
    for model in report["models"]:
        found = model["energy"]
        if found and "reason" in found:
            yield f"{model['name']}: energy is not known: {found['reason']}"
        elif found:
            yield (
                f"{model['name']}: {found['mj_per_image']:.3g} mJ an image above idle "
                f"({found['low']:.3g} to {found['high']:.3g}; {found['idle_w']:.2f} W idle, "
                f"{found['busy_w']:.2f} W busy; {found['sensor']})"
            )


def _features(report: Report) -> Iterator[str]:
    found = report["machine"].get("features")
    if found:
        yield f"CPU features: {', '.join(found)}"


def _verdicts(report: Report) -> Iterator[str]:
    where = f" of {report['device']['name']}" if report["device"] else ""
    if report["is_device"] is False:
        where += " as measured on this other machine"
    for model in report["models"]:
        if model["passed"] is not None:
            words = "PASS {}: within the limits{}" if model["passed"] else "FAIL {}: not within the limits{}"
            if any(each["not_finite"] for each in model["measurements"]):
                words = "FAIL {}: answers with values that are no finite numbers"
            yield words.format(model["name"], where)
    if report["changes"]:
        worse = sum(each["regressed"] for each in report["changes"])
        yield f"FAIL against the baseline: {worse} regressed" if worse else "PASS against the baseline"


def misses(report: Report) -> list[str]:
    """What did not hold, one phrase each; empty when nothing failed."""
    found = []
    for model in report["models"]:
        for check in map(check_of, model["checks"]):
            if check.passed is None:
                found.append(f"{model['name']}: {check.what} is {check.note}")
            elif not check.passed:
                words = f"{check.what} is {check.value:.4g}, limit {check.allowed:.4g} {check.unit}".rstrip()
                found.append(f"{model['name']}: {words}")
        outputs = sorted({name for each in model["measurements"] for name in each["not_finite"]})
        if outputs:
            found.append(f"{model['name']}: answers with values that are no finite numbers ({', '.join(outputs)})")
        parity = model["parity"]
        if parity and not parity["passed"]:
            found.append(f"{model['name']}: a logit differs by {parity['largest_difference']:.2g} from the export's")
    found += [
        f"{each['model']}: {each['what']} is {each['ratio']:.3f} times the baseline's"
        for each in report["changes"]
        if each["regressed"]
    ]
    return found
