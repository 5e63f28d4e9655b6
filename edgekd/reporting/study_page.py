"""The pages on a study and on a search, from study.json and search.json alone."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgekd.report import Cell, Table
from edgekd.reporting.blocks import Block, Grid, Page, Plot, Section, Text, percent, shown

Facts = Mapping[str, Any]

TARGET = "test_top1"
"""The figure that arms are compared by."""
FIGURES = {
    "test_top1": "test top-1",
    "val_top1": "validation top-1",
    "teacher_top1": "teacher's top-1",
    "file_top1": "file's top-1",
    "latency_ms": "latency, ms",
    "inference_mb": "memory of inference, MB",
    "macs": "multiply-adds",
    "params": "parameters",
    "file_bytes": "file, bytes",
    "steps": "steps",
    "train_seconds": "training, s",
    "chain_seconds": "all training, s",
    "peak_rss_mb": "memory of training, MB",
}
"""Figures of arms in words; others are shown by their names."""
DRAWN_COSTS = ("latency_ms", "inference_mb", "macs", "params", "file_bytes", "chain_seconds")
"""Costs that accuracy is drawn against."""
LEAST_CHANGE = 0.02
"""Costs that differ by less, of the largest, are the same."""
SWEPT = ("latency_ms", "inference_mb", "macs")
"""What inference costs, drawn over an axis of numbers beside the accuracy."""
UNITS = {"distill.input_size": ", pixels", "all.canvas": ", pixels"}
COSTS = {"latency_ms": "latency, ms", "size_bytes": "size, bytes", "params_count": "parameters"}
"""What a trial costs, and how an axis names it."""
LIMITS = {"latency_ms": "max_latency_ms", "size_bytes": "max_size_bytes", "params_count": "max_params"}
"""Keys of the budget that limit each cost."""


def study_page(facts: Facts) -> Page:
    """Tables with mean and standard deviation over the seeds, paired differences, and plots of accuracy and cost."""
    arms = facts["arms"]
    runs = sum(len(arm["seeds"]) for arm in arms)
    commands = dict.fromkeys(command for arm in arms for command in _commands(arm))
    sections = [
        Section(
            "Results",
            [Grid(_results(arms)), *_cross(arms), *_sweeps(arms), *_plots(arms, facts.get("compared", TARGET))],
        ),
        Section("Against the baseline", list(_differences(facts["differences"], facts["baseline"]))),
        Section("Failures", list(_failures(arms))),
        Section("Commands of the first seed", [Text(list(commands), is_code=True)] if commands else []),
    ]
    lead = f"{len(arms)} arms, {runs} seeds of them done. Figures are mean ± standard deviation over seeds."
    if facts.get("is_complete") is False:
        lead += " It is not complete."
    lead = f"{facts.get('question') or ''} {lead}".strip()
    return Page(f"Study {facts['study']}", lead, [each for each in sections if each.blocks], facts)


def _commands(arm: Facts) -> list[str]:
    first: Sequence[Facts] = next(iter(arm.get("steps", {}).values()), [])
    return [step["command"] for step in first]


def _names(arms: Sequence[Facts]) -> list[str]:
    """The figures that any arm has, those with words first."""
    there = dict.fromkeys(name for arm in arms for name in arm["spread"])
    return [name for name in FIGURES if name in there] + [name for name in there if name not in FIGURES]


def _is_ratio(name: str) -> bool:
    return name.endswith("top1")


def spread_words(figure: Facts | None, name: str) -> str | None:
    """`86.40% ± 0.30`: mean and standard deviation over seeds; None where nothing was measured."""
    if figure is None:
        return None
    mean, sd = figure["mean"], figure["sd"]
    if _is_ratio(name):
        return f"{mean:.2%}" + (f" ± {100 * sd:.2f}" if sd else "")
    return shown(float(mean)) + (f" ± {shown(float(f'{sd:.2g}'))}" if sd else "")


def _results(arms: Sequence[Facts]) -> Table:
    names = _names(arms)
    rows: list[list[Cell]] = [
        [
            arm["name"],
            f"{len(arm['seeds'])} of {len(arm.get('steps') or arm['seeds'])}",
            *(spread_words(arm["spread"].get(name), name) for name in names),
        ]
        for arm in arms
    ]
    return Table("Mean ± standard deviation over seeds", ("arm", "seeds", *(FIGURES.get(n, n) for n in names)), rows)


def _axes(arms: Sequence[Facts]) -> dict[str, list[Any]]:
    """The axes of the grid along which arms differ, with their values."""
    points = [arm.get("point") or {} for arm in arms]
    names = dict.fromkeys(name for each in points for name in each)
    found = {name: list(dict.fromkeys(_hashable(each[name]) for each in points if name in each)) for name in names}
    return {name: values for name, values in found.items() if len(values) > 1}


def _hashable(value: Any) -> Any:  # noqa: ANN401
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _is_number(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float) and not isinstance(value, bool)


def cross_table(arms: Sequence[Facts]) -> Table | None:
    """Accuracy by two axes: the first down, the second across; None where the grid has not just two."""
    axes = _axes(arms)
    if len(axes) != 2:  # noqa: PLR2004 - a table's
        return None
    (down, rows), (across, columns) = axes.items()
    known = {tuple(_hashable(arm["point"].get(each)) for each in axes): arm for arm in arms if arm.get("point")}
    if len(known) != len(arms):
        return None
    cells: list[list[Cell]] = [
        [f"{_last(down)} {row}", *(_cell(known.get((row, column))) for column in columns)] for row in rows
    ]
    title = f"{FIGURES[TARGET]} by {_last(down)} and {_last(across)}"
    return Table(title, ("", *(f"{_last(across)} {column}" for column in columns)), cells)


def _cell(arm: Facts | None) -> Cell:
    return None if arm is None else spread_words(arm["spread"].get(TARGET), TARGET)


def _cross(arms: Sequence[Facts]) -> list[Block]:
    table = cross_table(arms)
    return [Grid(table)] if table else []


def _last(axis: str) -> str:
    """`distill.input_size` in words: `input size`; a teacher's model is called so."""
    command, _, name = axis.rpartition(".")
    return "teacher" if command == "train-teacher" and name == "model" else name.replace("_", " ")


def _sweeps(arms: Sequence[Facts]) -> Iterator[Block]:
    """Accuracy, and what inference costs, over every axis of numbers: a line for each point of the other axes."""
    for axis, values in _axes(arms).items():
        if not all(map(_is_number, values)):
            continue
        for figure in (TARGET, *SWEPT):
            lines: dict[str, list[dict[str, Any]]] = {}
            for arm in arms:
                point, found = arm.get("point") or {}, arm["spread"].get(figure)
                if axis in point and found is not None:
                    others = [f"{_last(name)} {_hashable(each)}" for name, each in point.items() if name != axis]
                    place = {"x": point[axis], "y": found["mean"], "sd": found["sd"]}
                    lines.setdefault(", ".join(others), []).append(place)
            if len({each["y"] for line in lines.values() for each in line}) < 2:  # noqa: PLR2004 - one value is no line
                continue
            label = f"{_last(axis)}{UNITS.get(axis, '')}"
            words = f"{FIGURES[figure]} over {label} from {min(values)} to {max(values)}: " + "; ".join(
                f"{name + ': ' if name else ''}{spread_words({'mean': line[0]['y'], 'sd': None}, figure)} to "
                f"{spread_words({'mean': line[-1]['y'], 'sd': None}, figure)}"
                for name, line in lines.items()
            )
            drawn = {"lines": lines, "xlabel": label, "ylabel": FIGURES[figure], "ratio": _is_ratio(figure)}
            yield Plot(f"{FIGURES[figure]} over {_last(axis)}", words, "sweep", drawn)


def _plots(arms: Sequence[Facts], figure: str) -> Iterator[Block]:
    """The compared figure by arm, and against each cost that differs between arms."""
    known = [arm for arm in arms if figure in arm["spread"]]
    if not known:
        return
    label = FIGURES[figure]
    means = [arm["spread"][figure]["mean"] for arm in known]
    sds = [arm["spread"][figure]["sd"] for arm in known]
    names = [arm["name"] for arm in known]
    words = f"{label} of {len(known)} arms with its standard deviation; the best is {names[means.index(max(means))]}, "
    values = {"names": names, "values": means, "spreads": sds, "xlabel": label}
    yield Plot(f"{label} by arm", words + f"{max(means):.2%}", "intervals", values)
    for name in DRAWN_COSTS:
        points = [
            {"x": arm["spread"][name]["mean"], "y": mean, "sd": sd, "name": arm["name"]}
            for arm, mean, sd in zip(known, means, sds, strict=True)
            if name in arm["spread"]
        ]
        places = [point["x"] for point in points]
        if points and max(places) - min(places) > LEAST_CHANGE * max(places):
            cost = FIGURES[name]
            words = (
                f"{label} against {cost} of {len(points)} arms, with the standard deviation of {label}: "
                + "; ".join(f"{each['name']} {each['y']:.2%} at {shown(each['x'])}" for each in points)
            )
            drawn = {"points": points, "xlabel": cost, "ylabel": label, "ratio": True}
            yield Plot(f"{label} against {cost}", words, "scatter", drawn)


def _differences(found: Sequence[Facts], baseline: str) -> Iterator[Block]:
    rows: list[list[Cell]] = []
    for each in found:
        factor = 100 if _is_ratio(each["figure"]) else 1
        low, high = each["low"], each["high"]
        interval = None if low is None or high is None else f"{low * factor:+.2f} to {high * factor:+.2f}"
        figure = str(FIGURES.get(each["figure"], each["figure"])) + (", points" if factor == 100 else "")
        rows.append([each["arm"], figure, f"{each['mean'] * factor:+.2f}", interval, each["n"]])
    if rows:
        title = f"Difference to {baseline} over the seeds that both have"
        yield Grid(Table(title, ("arm", "figure", "mean", "95 % interval", "seeds"), rows))


def _failures(arms: Sequence[Facts]) -> Iterator[Block]:
    lines = [f"{arm['name']}, seed {seed}: {words}" for arm in arms for seed, words in arm.get("failures", {}).items()]
    if lines:
        yield Text(lines)


def search_page(facts: Facts) -> Page:
    """All trials, the Pareto front, and the front against each cost with the budget drawn in."""
    trials = [{"number": number, **each} for number, each in enumerate(facts["trials"])]
    known = {_key(each): each["number"] for each in trials}
    front = [
        trials[each] if isinstance(each, int) else {"number": known.get(_key(each)), **each}
        for each in facts.get("front", [])
    ]
    budget = facts.get("budget") or {}
    trained = [each for each in trials if each.get("top1") is not None]
    sections = [
        Section("Limits", [Grid(Table("", ("limit", "value"), [[name, value] for name, value in budget.items()]))]),
        Section("Pareto front", [*_fronts(trained, front, budget), Grid(_trial_table("Front", front))]),
        Section("Trials", [Text([_states(trials)]), Grid(_trial_table("All trials", trials))]),
    ]
    if not budget:
        sections = sections[1:]
    lead = f"{len(trials)} trials, {len(trained)} of them trained, {len(front)} on the Pareto front."
    return Page(f"Search {facts.get('name', '')}".rstrip(), lead, sections, facts)


def _key(trial: Facts) -> str:
    """What a trial is known by where the front repeats it."""
    return repr(sorted((name, repr(value)) for name, value in trial.items() if name != "number"))


def _states(trials: Sequence[Facts]) -> str:
    states = [str(each.get("state", "unknown")) for each in trials]
    return ", ".join(f"{state}: {states.count(state)}" for state in dict.fromkeys(states)) or "none"


def _fronts(trained: Sequence[Facts], front: Sequence[Facts], budget: Facts) -> Iterator[Block]:
    for cost, label in COSTS.items():
        points = [{"x": each[cost], "y": each["top1"]} for each in trained if each.get(cost) is not None]
        if not points:
            continue
        limit = budget.get(LIMITS[cost])
        best = max(points, key=lambda each: each["y"])
        words = f"Top-1 against {label} of {len(points)} trials; the best is {best['y']:.2%} at {shown(best['x'])}"
        words += f"; the budget is {shown(limit)}" if limit is not None else ""
        values: dict[str, Any] = {"points": points, "xlabel": label, "ylabel": "top-1", "ratio": True, "limit": limit}
        if cost == "latency_ms":
            values["front"] = [
                (each[cost], each["top1"]) for each in front if each.get(cost) and each.get("top1") is not None
            ]
        yield Plot(f"Top-1 against {label}", words, "scatter", values)


def _plain(value: Any) -> Cell:  # noqa: ANN401
    return value if isinstance(value, str | int | float | None) else ", ".join(map(str, value))


def _trial_table(title: str, trials: Sequence[Facts]) -> Table:
    options = list(dict.fromkeys(name for each in trials for name in each.get("params", {})))
    rows: list[list[Cell]] = [
        [
            each.get("number"),
            percent(each.get("top1")),
            *(each.get(cost) for cost in COSTS),
            each.get("state"),
            *(_plain(each.get("params", {}).get(name)) for name in options),
        ]
        for each in trials
    ]
    return Table(title, ("number", "top-1", *COSTS.values(), "state", *options), rows)
