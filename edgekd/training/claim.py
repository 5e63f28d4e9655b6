"""Whose a run folder is: names that are free, and one writer at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgekd import config as options
from edgekd.cache.leftovers import sweep
from edgekd.errors import CheckpointError, UsageError, nearest
from edgekd.ranks import place
from edgekd.report import Reporter
from edgekd.runs import Run, check_writable, everything, exists_already, plain_name

LONGEST_MADE = 160
"""Bytes of a name made of other names."""


def settle_name(config: options.Run, made: str, report: Reporter) -> str:
    """The name given; without one `made`, followed by -2, -3, ... where finished runs have it already.

    To resume, the last of these that is not finished, else the last; to overwrite, `made` itself.
    """
    if config.name is not None:
        return config.name
    made = os.fsencode(made)[:LONGEST_MADE].decode(errors="ignore")
    if config.overwrite:
        return made
    names = [made]
    while Run(config.runs / names[-1]).is_there:
        names.append(f"{made}-{len(names) + 1}")
    *there, free = names
    begun = [name for name in there if not _is_finished(Run(config.runs / name))]
    if config.resume or begun:
        return begun[-1] if begun else there[-1] if there else made
    if there:
        report.note(f"run: {config.runs / free}, for {there[-1]} is finished; --overwrite replaces {made}")
    return free


def _is_finished(run: Run) -> bool:
    with suppress(CheckpointError):
        return bool(run.manifest().get("status") == "finished")
    return False


def claim(root: Path, name: str, *, resume: bool, overwrite: bool) -> Run:
    """The run folder to write, checked but not yet made; to resume, half-written files of dead processes go.

    Raises UsageError when a run is there and neither `resume` nor `overwrite` was given, or something that is no
    run, or when another process is writing the run; CheckpointError when there is nothing to resume, DataError when
    the place cannot be written.
    """
    run = Run(root / plain_name(name))
    if run.path.exists() and not run.is_there and not _is_unbegun(run.path):
        raise UsageError(f"{run.path}: is there, but is not a run, so it is left alone", "give another --name")
    if run.is_there and not (resume or overwrite):
        raise exists_already(run)
    if resume and not run.is_there:
        there = nearest(name, [each.path.name for each in everything(root)])
        raise CheckpointError(
            f"--resume: there is no run {run.path} to go on with", f"leave --resume out to start it; runs {there}"
        )
    check_writable(run.path)
    if place().is_first:
        with holding(run):
            if resume:
                sweep(run.path)
    return run


def _is_unbegun(folder: Path) -> bool:
    """Whether a command was killed before the run had a manifest: nothing but a half-written file is there."""
    return folder.is_dir() and all(each.name.endswith(".part") for each in folder.iterdir())


@contextmanager
def holding(run: Run) -> Iterator[None]:
    """Keep other processes from writing the run meanwhile; raises UsageError when another one is at it.

    A killed process lets go of it. Where the run is not there yet, or the file system has no locks, nothing is held.
    """
    if not run.path.is_dir():
        yield
        return
    handle = os.open(run.path, os.O_RDONLY)
    try:
        with suppress(OSError):
            _lock(handle, run)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, run: Run) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(
            f"{run.path}: another process is training it at this moment", "end that one first, or give another --name"
        ) from error
