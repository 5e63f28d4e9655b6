"""Files that belong together take their places together; signals wait while that is done."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edgekd.runs import writing_beside


@contextmanager
def atomic_all(*paths: Path) -> Iterator[list[Path]]:
    """Like `atomic` for files that belong together: none takes its place before all are written in full.

    The first takes its place last.
    """
    with ExitStack() as stack:
        besides = [stack.enter_context(writing_beside(path)) for path in reversed(paths)][::-1]
        yield besides
        for beside in besides:
            with beside.open("rb") as stream:
                os.fsync(stream.fileno())
        with undisturbed():
            for beside, path in reversed(list(zip(besides, paths, strict=True))):
                beside.replace(path)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals wait meanwhile."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
