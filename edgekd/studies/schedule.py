"""All steps of a piece of work, several at a time, until they are done or the time is over."""

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgekd.errors import Interrupted
from edgekd.report import Progress, Reporter
from edgekd.studies import workers
from edgekd.studies.steps import Place, Step
from edgekd.studies.workers import INTERRUPTED, Worker, end_all, failure_of, read_record, start

_SECONDS_BETWEEN_LOOKS = 1.0


@dataclass
class Outcome:
    """Records of finished steps and reasons of failed ones, by digest; `is_cut` where the time was over before."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    is_cut: bool = False


def carry_out(
    steps: Sequence[Step],
    place: Place,
    report: Reporter,
    *,
    jobs: int = 1,
    deadline: float | None = None,
    tell: Callable[[Step, dict[str, Any]], None] = lambda _step, _record: None,
) -> Outcome:
    """Carry out steps, parents first, those that are done already not again; `deadline` is of time.monotonic().

    A step whose parent failed fails too; the others go on. At the deadline steps under way save their state and end.
    Raises Interrupted after the same.
    """
    work = _Work(place, tell, Outcome(), [])
    todo: list[Step] = []
    for step in steps:
        if place.is_done(step):
            work.outcome.records[step.digest] = read_record(place.record(step))
        else:
            todo.append(step)
    with report.stage("steps", len(steps), "steps") as bar:
        bar.advance(len(steps) - len(todo), before=True)
        try:
            work.run(todo, jobs, deadline, bar)
        except KeyboardInterrupt as error:
            end_all(work.busy)
            number = error.args[0] if error.args else signal.SIGINT
            raise Interrupted("interrupted; what is done is kept", "the same command goes on", number) from error
        except BaseException:
            end_all(work.busy)
            raise
    return work.outcome


@dataclass
class _Work:
    place: Place
    tell: Callable[[Step, dict[str, Any]], None]
    outcome: Outcome
    busy: list[Worker]

    def run(self, todo: list[Step], jobs: int, deadline: float | None, bar: Progress) -> None:
        while todo or self.busy:
            self._drop_hopeless(todo, bar)
            is_over = deadline is not None and time.monotonic() >= deadline
            if is_over:
                self.outcome.is_cut = bool(todo or self.busy)
                end_all(self.busy)
                todo.clear()
            for step in [each for each in todo if self._is_ready(each)][: jobs - len(self.busy)]:
                self.busy.append(start(step, self.place))
                todo.remove(step)
            left = (
                _SECONDS_BETWEEN_LOOKS if deadline is None else min(_SECONDS_BETWEEN_LOOKS, deadline - time.monotonic())
            )
            for worker in workers.wait(self.busy, left):
                self._settle(worker, bar)

    def _is_ready(self, step: Step) -> bool:
        return all(each.digest in self.outcome.records for each in step.parents.values())

    def _drop_hopeless(self, todo: list[Step], bar: Progress) -> None:
        for step in list(todo):
            broken = [each for each in step.parents.values() if each.digest in self.outcome.failures]
            if broken:
                self.outcome.failures[step.digest] = self.outcome.failures[broken[0].digest]
                todo.remove(step)
                bar.advance()

    def _settle(self, worker: Worker, bar: Progress) -> None:
        worker.process.join()
        self.busy.remove(worker)
        step, code = worker.step, worker.process.exitcode
        if self.place.is_done(step):
            record = read_record(self.place.record(step))
            self.outcome.records[step.digest] = record
            self.tell(step, record)
        elif self.outcome.is_cut and (code in INTERRUPTED or code < 0):
            # ended here at the deadline, perhaps before it could catch the signal
            return
        elif code in INTERRUPTED:
            raise KeyboardInterrupt(code - 128)
        else:
            killed = f"it was killed (signal {-code}); " if code < 0 else ""
            self.outcome.failures[step.digest] = killed + failure_of(step, self.place)
        bar.advance()
