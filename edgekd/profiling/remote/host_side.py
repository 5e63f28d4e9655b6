"""`python -m edgekd.profiling.remote.host_side`: a survey requested by another machine, over standard input and output.

One JSON line in (the options); notes and, last, the report or an error out. Who started it also ends it.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgekd.config import Profile
from edgekd.errors import EdgekdError
from edgekd.profiling.survey import survey
from edgekd.report import Cell, Progress, Silent


class Sender(Silent):
    """A Reporter whose words travel to the other machine."""

    def note(self, text: str) -> None:
        """Send a note."""
        send(note=text)

    def warn(self, text: str) -> None:
        """Send a warning."""
        send(warning=text)

    def epoch(self, row: Mapping[str, Cell]) -> None:
        """Nothing trains here."""

    @contextmanager
    def stage(self, title: str, total: int | None = None, unit: str = "") -> Iterator[Progress]:
        """Send the title only: a bar would disturb."""
        send(note=title)
        with super().stage(title, total, unit) as progress:
            yield progress


def send(**words: Any) -> None:  # noqa: ANN401
    """One JSON line."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def options_of(given: Mapping[str, Any]) -> Profile:
    """A Profile from its JSON values."""
    places = {key: Path(given[key]) for key in ("images", "baseline") if given.get(key)}
    return Profile(**{**given, **places, "models": tuple(given["models"]), "runs": Path(given["runs"])})


def main() -> None:
    """Read the options, survey, answer."""
    try:
        send(report=survey(options_of(json.loads(sys.stdin.readline())), Sender()))
    except EdgekdError as error:
        send(error=type(error).__name__, problem=error.problem, hint=error.hint)


if __name__ == "__main__":
    main()
