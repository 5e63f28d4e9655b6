"""Steps carried out in processes of their own, which one server starts: torch is imported once, peaks stay apart."""

import fcntl
import json
import multiprocessing
import os
import runpy
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from edgekd.errors import CheckpointError
from edgekd.reading import read_json
from edgekd.runs import write_json
from edgekd.studies.steps import TRAINING, Place, Step

PRELOADED = [f"edgekd.recipes.{each}" for each in ("train_teacher", "cache_logits", "distill", "finetune", "export")]
VERDICTS = {"profile": (0, 5)}
"""Exit codes that count as done: a missed limit is an outcome of profile."""
INTERRUPTED = (130, 143)
_SECONDS_TO_SAVE = 30.0
"""An interrupted step may take so long to save its state."""


@dataclass(frozen=True)
class Task:
    """What a process needs to carry out a step, all of it plain."""

    arguments: tuple[str, ...]
    command: str
    options: dict[str, Any]
    record: str
    log: str
    folder: str
    work: str | None


@dataclass
class Worker:
    """A step in a process of its own."""

    step: Step
    process: Any
    began: float

    def end(self) -> None:
        """Ask the process to save its state and leave."""
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGTERM)


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def start(step: Step, place: Place) -> Worker:
    """Begin to carry out a step."""
    record, log = place.record(step).absolute(), place.log(step).absolute()
    record.parent.mkdir(parents=True, exist_ok=True)
    work = place.work(step)
    task = Task(
        tuple(place.arguments(step)),
        step.command,
        dict(step.options),
        str(record),
        str(log),
        str(Path.cwd()),
        None if work is None else str(work.absolute()),
    )
    process = _context().Process(target=_carry_out, args=(task,), name=step.name)
    process.start()
    return Worker(step, process, time.monotonic())


def wait(workers: Sequence[Worker], seconds: float) -> list[Worker]:
    """Those that have ended, waiting at most so long for the first."""
    ready = connection.wait([each.process.sentinel for each in workers], max(0.0, seconds))
    return [each for each in workers if each.process.sentinel in ready]


def end_all(workers: Sequence[Worker]) -> None:
    """Have all save their state and leave; what does not leave in time is killed."""
    for each in workers:
        each.end()
    until = time.monotonic() + _SECONDS_TO_SAVE
    for each in workers:
        each.process.join(max(0.0, until - time.monotonic()))
        if each.process.is_alive():
            each.process.kill()
            each.process.join()


def read_record(path: Path) -> dict[str, Any]:
    """What a step came to; raises CheckpointError when its record is damaged."""
    return read_json(path, CheckpointError, "remove it, and the step is carried out again")


def failure_of(step: Step, place: Place) -> str:
    """In words, why a step has failed: its own error, else the last line that it told."""
    out = place.log(step).with_suffix(".out")
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(out.read_text(encoding="utf-8"))["error"]["problem"])
    with suppress(OSError):
        lines = place.log(step).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended without a word (see {place.log(step)})"
    return "it could not be started"


def _carry_out(task: Task) -> None:
    """In the process: `edgekd` with the task's arguments, its result kept in the record."""
    os.chdir(task.folder)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    with _alone(Path(task.record).with_suffix(".lock")):
        if Path(task.record).is_file() and (task.work is None or Path(task.work).exists()):
            return
        _clear_unbegun(task)
        began, out = time.monotonic(), Path(task.log).with_suffix(".out")
        _redirect(out, Path(task.log))
        code = _call([*task.arguments, "--json"])
        if code not in VERDICTS.get(task.command, (0,)):
            sys.exit(code)
        result = json.loads(out.read_text(encoding="utf-8"))
        facts = {"command": task.command, "options": task.options, "arguments": list(task.arguments)}
        write_json(
            Path(task.record),
            {**facts, **_cost(began), "exit_code": code, "result": result},
        )
        out.unlink()


def _clear_unbegun(task: Task) -> None:
    """Remove the run's folder where the step was killed before it had a manifest: there is nothing to go on with."""
    if task.command in TRAINING and task.work and not (Path(task.work) / "manifest.json").is_file():
        shutil.rmtree(task.work, ignore_errors=True)


def _cost(began: float) -> dict[str, float]:
    """Seconds on the clock and of processors, the step's own processes included."""
    return {"seconds": round(time.monotonic() - began, 2), "cpu_seconds": round(sum(os.times()[:4]), 2)}


def _call(arguments: list[str]) -> int:
    sys.argv = ["edgekd", *arguments]
    try:
        runpy.run_module("edgekd", run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _redirect(out: Path, log: Path) -> None:
    for path, stream in ((out, 1), (log, 2)):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(handle, stream)
        os.close(handle)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the step's lock, waiting for another study that is at the same step."""
    with path.open("w") as stream:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _leave_with_parent() -> None:
    """A step does not outlive the study that began it: it saves its state and leaves."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
