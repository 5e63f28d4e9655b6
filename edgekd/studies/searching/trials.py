"""The trials of a search on disk: what was tried, who is at it, and what to try next. Several processes share them."""

import fcntl
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Engine, event

from edgekd.studies.searching.space import FIXED, Candidate, draw
from edgekd.studies.teaching import STUDENT

REDUCTION = 3
"""One of so many trials of a rung goes on to the next, which is so many times as long."""
FACTS = "facts"
"""The attribute that holds what is known of a trial."""
AGAIN = "again"
MOST_AGAIN = 2
"""A trial whose process died is queued again so often: it may be what kills it."""
NAME = "search"
WAIT_FOR_DATABASE = 60


@dataclass(frozen=True)
class Current:
    """A trial that this process is at."""

    trial: optuna.Trial
    candidate: Candidate

    def know(self, **facts: Any) -> None:  # noqa: ANN401
        """Keep facts of the trial, plain JSON values."""
        self.trial.set_user_attr(FACTS, {**self.trial.user_attrs.get(FACTS, {}), **facts})

    def constrain(self, excess: Mapping[str, float]) -> None:
        """By how much each limit is exceeded, as a share of it; 0 or below: it is kept."""
        for name, value in excess.items():
            self.trial.set_constraint(name, value)

    def goes_on(self, rung: int, top1: float) -> bool:
        """Take note of the validation accuracy after a rung (0, 1, ...), and say whether the next one is worth it."""
        self.trial.report(top1, REDUCTION**rung)
        return not self.trial.should_prune()


class Trials:
    """Trials in SQLite, by Optuna: TPE with limits as constraints, asynchronous successive halving over rungs."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings(), _lock(folder / "ask.lock"):
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{folder.absolute()}/trials.db",
                engine_kwargs={"connect_args": {"timeout": WAIT_FOR_DATABASE}},
            )
            _quicken(storage.engine)
            self._study = optuna.create_study(
                storage=storage,
                study_name=NAME,
                load_if_exists=True,
                direction="maximize",
                # TPE beside other processes: what they are at is taken for bad, so that all do not try the same
                sampler=optuna.samplers.TPESampler(seed=seed + os.getpid(), constant_liar=True),
                pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION),
            )
            if not self._study.get_trials(deepcopy=False):
                usual = {"alpha": 0.9, "temperature": 4.0}
                self._study.enqueue_trial(usual, user_attrs={FIXED: STUDENT})

    @contextmanager
    def next(self) -> Iterator[Current]:
        """The next trial, this process's until it is told; one that is left untold is tried again by the next to ask.

        Raises whatever is raised inside.
        """
        with _lock(self.folder / "ask.lock"):
            self._revive()
            trial = self._study.ask()
            handle = _open_lock(self._place(trial.number))
            fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield Current(trial, draw(trial))
        finally:
            os.close(handle)

    def tell(self, current: Current, top1: float | None, state: TrialState) -> None:
        """End a trial: COMPLETE with its accuracy, PRUNED after its rungs so far or for its cost, FAIL."""
        self._study.tell(current.trial, top1 if state == TrialState.COMPLETE else None, state=state)

    def all(self) -> Sequence[FrozenTrial]:
        """Every trial, in the order of their numbers."""
        return self._study.get_trials(deepcopy=False)

    def _place(self, number: int) -> Path:
        return self.folder / "at-work" / f"{number}.lock"

    def _revive(self) -> None:
        """Fail trials whose process is gone, and queue them again."""
        for each in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            handle = _open_lock(self._place(each.number))
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            finally:
                os.close(handle)
            again = int(each.user_attrs.get(AGAIN, 0)) + 1
            if again <= MOST_AGAIN:
                fixed = {key: each.user_attrs[key] for key in (FIXED,) if key in each.user_attrs}
                self._study.enqueue_trial(each.params, user_attrs=fixed | {AGAIN: again})
            self._study.tell(each.number, state=TrialState.FAIL)


def _quicken(engine: Engine) -> None:
    """Commits that a killed process leaves whole, without waiting for the disk each time (a trial has twenty)."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:  # noqa: ANN401
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    engine.dispose()


def _open_lock(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock, waiting for it; a killed process lets go of it."""
    handle = _open_lock(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
