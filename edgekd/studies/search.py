"""`edgekd search`: the student that is most accurate within a device's limits, in a time limit."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from edgekd import config as options
from edgekd.data.inheritance import inherit_data
from edgekd.data.sources import open_data
from edgekd.declaration import as_dict, is_given
from edgekd.errors import CheckFailed
from edgekd.report import Reporter, Result, Silent, Table
from edgekd.runs import check_writable, find, write_json
from edgekd.studies.clock import Clock
from edgekd.studies.decisions import Decisions
from edgekd.studies.rehearsal import STEP_START, rehearse, settle_pins
from edgekd.studies.schedule import carry_out
from edgekd.studies.searching.costs import Cost, Costs, budget_of
from edgekd.studies.searching.outcome import best_of, describe_trial, facts_of, front_table, lead_of
from edgekd.studies.searching.space import Candidate, smallest
from edgekd.studies.searching.time_plan import rungs_of, slowness, wish_of
from edgekd.studies.searching.trials import Current, Trials
from edgekd.studies.steps import Place, Step
from edgekd.studies.teaching import STUDENT, Plan, check_limit, checked, plan_teaching

MOST_IDLE = 300
"""Trials in a row that trained nothing, until the search takes its space for exhausted."""
PROFILE_SECONDS = 5.0


@dataclass(frozen=True)
class _Search:
    """All that the trials share."""

    config: options.Search
    place: Place
    clock: Clock
    costs: Costs
    plan: Plan
    shared: Mapping[str, Any]
    cache: Step
    report: Reporter

    @property
    def reserve(self) -> float:
        """Seconds that must be left when the last short training ends."""
        return self.plan.student + self.plan.after

    def distilling(self, candidate: Candidate, seconds: float, epochs: int | None = None) -> Step:
        """The training of a student from the shared cache."""
        own: dict[str, Any] = {"seed": self.config.seed, "time_limit": f"{seconds:g}s"}
        own |= {} if epochs is None else {"epochs": epochs}
        return Step("distill", {**self.shared, **candidate.options, **own}, {"cache": self.cache})


def run(config: options.Search, report: Reporter) -> Result:
    """Search, train the best student in full, export and judge it; writes `search.json` for `edgekd report`."""
    limit = check_limit(config.time_limit)
    if config.teacher is not None:
        config = inherit_data(config, find(config.runs, config.teacher))
    check_writable(config.output)
    place, decisions = Place(config.output), Decisions(config.output / "plan")
    held = as_dict(config)
    del held["time_limit"]
    with Clock(config.output / "clock", limit) as clock:
        data = open_data(config, report)
        costs = Costs(config.output / "costs", data, config)
        decisions.hold(held, "search")
        began = time.monotonic()
        least = costs.check_possible([STUDENT, *smallest()])
        measuring = decisions.decide("measuring", lambda: {"seconds": (time.monotonic() - began) / len(least)})
        report.note(next(each.statement for each in least.values() if each.fits))
        pinned = options.Pinned(config.threads, config.precision, config.memory_format)
        pins = decisions.decide("pins", lambda: settle_pins(STUDENT, data, pinned))
        wish = wish_of(config, measuring["seconds"])
        look = partial(rehearse, data=data, pins=pins)
        plan = Plan(**decisions.decide("time", lambda: plan_teaching(wish, data, clock, look).as_dict()))
        if plan.teacher is not None:
            report.note(f"teacher: {plan.teacher}, {plan.teaching:.0f} s, {plan.views} views; then trials")
        shared = _data_options(config) | pins
        cache = _teaching(config, shared, plan)
        search = _Search(config, place, clock, costs, plan, shared, cache, report)
        # Bounded by their own plans, and needed in any case.
        checked(carry_out(list(cache.with_parents()), place, report), place)
        trials = Trials(config.output / "trials", config.seed)
        _explore(trials, search)
        found = facts_of(config.output.name, [describe_trial(each) for each in trials.all()], costs.limits)
        write_json(config.output / "search.json", found)
        return _finish(found, least, search, decisions)


def _data_options(config: options.Search) -> dict[str, Any]:
    """What of the data's options was given, as plain values."""
    given = as_dict(config)
    names = [each.name for each in fields(options.Data) if is_given(config, each.name)]
    return {name: given[name] for name in names} | {"data": config.data or "shapes"}


def _teaching(config: options.Search, shared: Mapping[str, Any], plan: Plan) -> Step:
    """The step that fills the cache all students learn from, after that of its teacher."""
    if config.teacher is not None:
        run = find(config.runs, config.teacher).path.absolute()
        return Step("cache-logits", {**shared, "views": plan.views, "teacher": str(run)})
    own = {"model": plan.teacher, "seed": config.seed, "time_limit": f"{plan.teaching:g}s"}
    return Step("cache-logits", {**shared, "views": plan.views}, {"teacher": Step("train-teacher", {**shared, **own})})


def _explore(trials: Trials, search: _Search) -> None:
    """Try students until only the time for the best one's training is left, or nothing new comes up."""
    idle = 0
    shortest = rungs_of(search.plan)[0][0] + STEP_START
    while search.clock.left() > search.reserve + shortest and idle < MOST_IDLE:
        before = len(list(search.place.runs.glob("*")))
        with trials.next() as current:
            top1, state = _try(current, search)
            trials.tell(current, top1, state)
        idle = idle + 1 if len(list(search.place.runs.glob("*"))) == before else 0
        _tell(current, top1, state, search.report)


def _tell(current: Current, top1: float | None, state: TrialState, report: Reporter) -> None:
    words = {TrialState.COMPLETE: "trained in all rungs", TrialState.PRUNED: "stopped", TrialState.FAIL: "failed"}
    if top1 is not None or state == TrialState.FAIL:
        accuracy = "" if top1 is None else f", validation {top1:.2%}"
        report.note(f"trial {current.trial.number}: {current.candidate.model}{accuracy}, {words[state]}")


def _try(current: Current, search: _Search) -> tuple[float | None, TrialState]:
    """Cost first, then trainings of growing length while it is among the best; the last accuracy."""
    cost = search.costs.of(current.candidate.model)
    slow = slowness(search.plan, current.candidate.model, cost.macs)
    current.know(model=current.candidate.model, fits=cost.fits, is_slow=slow > 0, **_figures(cost))
    current.constrain({**cost.excess, "training": slow})
    if not cost.fits or (slow > 0 and current.candidate.model != STUDENT):
        return None, TrialState.PRUNED
    top1: float | None = None
    rungs = rungs_of(search.plan)
    for rung, (seconds, epochs) in enumerate(rungs):
        if search.clock.left() < search.reserve + seconds + STEP_START:
            return top1, TrialState.PRUNED
        step = search.distilling(current.candidate, seconds, epochs)
        deadline = search.clock.deadline(search.reserve)
        outcome = carry_out(list(step.with_parents()), search.place, Silent(), deadline=deadline)
        if outcome.is_cut:  # first, since a step that was ended while it started counts as failed
            return top1, TrialState.PRUNED
        if outcome.failures:
            current.know(failure=outcome.failures[step.digest])
            return top1, TrialState.FAIL
        top1 = float(outcome.records[step.digest]["result"]["val_top1"])
        if not current.goes_on(rung, top1) and rung + 1 < len(rungs):
            return top1, TrialState.PRUNED
    return top1, TrialState.COMPLETE


def _figures(cost: Cost) -> dict[str, Any]:
    return {
        "params_count": cost.params,
        "macs": cost.macs,
        "size_bytes": cost.size_bytes,
        "latency_ms": cost.latency_ms,
    }


def _finish(found: dict[str, Any], least: Mapping[str, Cost], search: _Search, decisions: Decisions) -> Result:
    """The best student trained in full, exported and judged."""
    best = best_of(found["trials"])
    if best is None:
        model = next(model for model, cost in least.items() if cost.fits)
        search.report.warn(f"no student could be tried in the time: {model}, which fits, is trained")
        chosen = {"model": model, "alpha": 0.9, "temperature": 4.0}
    else:
        chosen = {name: best["params"][name] for name in ("model", "alpha", "temperature")}
    limit, plan = search.config.time_limit, search.plan
    decided = decisions.decide(
        f"winner-{limit}",
        lambda: {**chosen, "seconds": round(max(plan.student, search.clock.left() - plan.after), 1)},
    )
    seconds = decided.pop("seconds")
    student = search.distilling(Candidate(**decided), seconds)
    export = Step("export", {}, {"model": student})
    given: dict[str, Any] = budget_of(search.config) | {"duration": PROFILE_SECONDS}
    if search.config.device is not None:
        given |= {"device": search.config.device}
    verdict = Step("profile", given, {"models": export})
    search.report.note(f"the best: {decided['model']}; it is trained for {seconds:.0f} s, exported and judged")
    chain = list(verdict.with_parents())
    outcome = checked(carry_out(chain, search.place, search.report), search.place)
    records = {step.command: outcome.records[step.digest]["result"] for step in chain[-3:]}
    found["winner"] = {
        **decided,
        "seconds": seconds,
        "val_top1": records["distill"]["val_top1"],
        "test_top1": records["distill"]["test_top1"],
        "params": records["distill"]["params"],
        "run": str(search.place.work(student)),
        "file": str(search.place.work(export)),
        "against_default": _against_default(best, found["trials"]),
    }
    found |= {"passed": records["profile"]["passed"], "statement": records["profile"]["statement"]}
    found["seconds"] = round(search.clock.spent(), 1)
    file = search.place.root / "search.json"
    write_json(file, found)
    return _result(found, records["profile"], file)


def _against_default(best: Mapping[str, Any] | None, trials: Sequence[Mapping[str, Any]]) -> float | None:
    """The best trial's lead over the default student at equal training, validation; None where it was not tried."""
    usual = next((each for each in trials if each["params"]["model"] == STUDENT and each["by_rung"]), None)
    return None if best is None or usual is None else lead_of(best, usual)


def _result(found: dict[str, Any], profile: Mapping[str, Any], file: Path) -> Result:
    winner, lead = found["winner"], found["winner"]["against_default"]
    trained = sum(each["top1"] is not None for each in found["trials"])
    verdict = {True: "PASS", False: "FAIL", None: "UNKNOWN"}[profile["passed"]]
    if lead is None:
        words = f"{STUDENT} was not tried"
    elif winner["model"] == STUDENT:
        words = "it is the best found"
    else:
        words = f"{lead * 100:+.2f} points at equal short training, validation, one seed"
    rows = [
        ("verdict", verdict),
        ("student", winner["model"]),
        ("taught with", f"alpha {winner['alpha']:g}, temperature {winner['temperature']:g}"),
        ("test accuracy", f"{winner['test_top1']:.2%}"),
        ("parameters", winner["params"]),
        (f"against {STUDENT}", words),
        ("trials", f"{len(found['trials'])}, of which {trained} were trained"),
        ("run", winner["run"]),
        ("model file", winner["file"]),
    ]
    failure = None
    if profile["passed"] is False:
        failure = CheckFailed(f"{winner['model']} misses a limit once trained", f"edgekd profile {winner['file']}")
    lines = [profile["statement"], f"edgekd report {file.parent} draws all trials"]
    return Result(found, [Table("edgekd search", ("", ""), rows), front_table(found)], lines, failure)
