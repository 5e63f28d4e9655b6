"""The pages on a study and on a search, from study.json and search.json alone."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgekd.report import Cell, Table
from edgekd.reporting.blocks import Block, Grid, Page, Plot, Section, Text, percent, shown

Facts = Mapping[str, Any]

RATIOS = ("top1", "top5", "f1", "accuracy")
"""Words in the names of metrics that are ratios 0-1."""
COSTS = {"latency_ms": "latency, ms", "size_bytes": "size, bytes", "params_count": "parameters"}
"""What a trial costs, and how an axis names it."""
LIMITS = {"latency_ms": "max_latency_ms", "size_bytes": "max_size_bytes", "params_count": "max_params"}
"""Keys of the budget that limit each cost."""


def study_page(facts: Facts) -> Page:
    """Tables with mean and standard deviation over the seeds, paired differences, and plots of each metric."""
    rows = facts["rows"]
    runs = sum(len(row.get("runs", ())) for row in rows)
    sections = [
        Section("Results", [Grid(_results(rows)), *_metric_plots(rows)]),
        Section("Paired comparison", list(_paired(facts.get("paired") or []))),
    ]
    lead = f"{len(rows)} arms, {runs} runs; mean ± standard deviation over the runs of an arm."
    return Page(f"Study {facts['name']}", lead, [each for each in sections if each.blocks], facts)


def _metrics(rows: Sequence[Facts]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row["metrics"]))


def _is_ratio(name: str) -> bool:
    return any(word in name for word in RATIOS)


def spread(figure: Facts | None, name: str) -> str | None:
    """`86.40 % ± 0.30 (3)`: mean, standard deviation and number of runs; None where nothing was measured."""
    if figure is None or figure.get("mean") is None:
        return None
    mean, sd, count = figure["mean"], figure.get("sd"), figure["n"]
    if _is_ratio(name):
        return f"{mean:.2%}" + (f" ± {100 * sd:.2f}" if sd is not None else "") + f" ({count})"
    return shown(float(mean)) + (f" ± {shown(float(sd))}" if sd is not None else "") + f" ({count})"


def _results(rows: Sequence[Facts]) -> Table:
    names, options = _metrics(rows), list(dict.fromkeys(key for row in rows for key in row.get("values", {})))
    cells: list[list[Cell]] = [
        [
            row["arm"],
            *(_plain(row.get("values", {}).get(option)) for option in options),
            *(spread(row["metrics"].get(name), name) for name in names),
        ]
        for row in rows
    ]
    return Table("Mean ± sd (runs)", ("arm", *options, *names), cells)


def _plain(value: Any) -> Cell:  # noqa: ANN401
    return value if isinstance(value, str | int | float | None) else ", ".join(map(str, value))


def _metric_plots(rows: Sequence[Facts]) -> Iterator[Block]:
    """Accuracy by arm, and accuracy against each other metric."""
    target = next((name for name in _metrics(rows) if "top1" in name), None)
    if target is None:
        return
    known = [row for row in rows if (row["metrics"].get(target) or {}).get("mean") is not None]
    if not known:
        return
    means = [row["metrics"][target]["mean"] for row in known]
    best = known[means.index(max(means))]["arm"]
    sds = [row["metrics"][target].get("sd") for row in known]
    values = {"names": [row["arm"] for row in known], "values": means, "spreads": sds, "xlabel": target}
    words = f"{target} of {len(known)} arms with its standard deviation; the best is {best}, {max(means):.2%}"
    yield Plot(f"{target} by arm", words, "intervals", values)
    for name in _metrics(rows):
        if _is_ratio(name):
            continue
        points = [
            {
                "x": row["metrics"][name]["mean"],
                "y": row["metrics"][target]["mean"],
                "sd": row["metrics"][target].get("sd"),
                "name": row["arm"],
            }
            for row in known
            if (row["metrics"].get(name) or {}).get("mean") is not None
        ]
        if len(points) > 1:
            words = f"{target} against {name} of {len(points)} arms, with the standard deviation of {target}"
            yield Plot(
                f"{target} against {name}",
                words,
                "scatter",
                {"points": points, "xlabel": name, "ylabel": target, "ratio": True},
            )


def _paired(pairs: Sequence[Facts]) -> Iterator[Block]:
    if pairs:
        columns = list(dict.fromkeys(name for row in pairs for name in row))
        rows = [[_plain(row.get(name)) for name in columns] for row in pairs]
        yield Grid(Table("Differences between arms that share seeds", columns, rows))


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
