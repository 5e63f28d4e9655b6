"""Processes that fill one cache share it; one that replaces it has it alone."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekd.errors import CacheError


@contextmanager
def guarding(folder: Path, *, alone: bool = False) -> Iterator[None]:
    """Keep others from replacing a cache's folder meanwhile, and with `alone` from filling it, too.

    A killed process lets go of it. Where the folder is not there, or the file system has no locks, nothing is held.
    Raises CacheError when another process is at it.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        yield
        return
    try:
        _lock(handle, folder, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path, kind: int) -> None:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
        is_replaced = not folder.exists() or not os.path.samestat(os.fstat(handle), folder.stat())
    except BlockingIOError:
        is_replaced = True
    except OSError:  # no locks here
        return
    if is_replaced:
        raise in_use(folder)


def in_use(folder: Path) -> CacheError:
    """In words: another process is at it."""
    return CacheError(
        f"{folder}: another process is filling or replacing it at this moment",
        "wait for it and give the same command again, or give another --name",
    )
