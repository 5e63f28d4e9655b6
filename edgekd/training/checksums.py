"""SHA-256 of the files a resume needs, in `last/sums.json`: a kill at any instant leaves files that are in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekd.errors import CheckpointError
from edgekd.reading import read_json
from edgekd.runs import Run, atomic, file_sum, write_json


def _place(run: Run) -> Path:
    return run.last.with_name("sums.json")


@contextmanager
def summed(run: Run, path: Path) -> Iterator[Path]:
    """Like `atomic`; the sums of the new file and of the one it replaces are noted before it takes its place."""
    with atomic(path) as beside:
        yield beside
        sums = [file_sum(each) for each in (beside, path) if each.is_file()]
        known = read_json(_place(run), CheckpointError) if _place(run).is_file() else {}
        write_json(_place(run), known | {path.name: sums})


def check_summed(run: Run, path: Path) -> None:
    """Raise CheckpointError when the file is missing or is not one that `summed` wrote last."""
    if not _place(run).is_file():
        raise CheckpointError(
            f"{_place(run)}: missing, so nothing tells whether {path.name} is whole",
            "finish the run with the edgekd that began it, or start anew with --overwrite",
        )
    if file_sum(path) not in (read_json(_place(run), CheckpointError).get(path.name) or ()):
        raise CheckpointError(
            f"{path}: damaged or replaced: its SHA-256 is not in {_place(run)}",
            "restore the file, or start anew with --overwrite",
        )
