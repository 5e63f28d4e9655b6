"""What was once decided for a piece of work, by measuring or by its options, and holds until it is done."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgekd.declaration import flag
from edgekd.errors import CheckpointError, UsageError
from edgekd.reading import read_json
from edgekd.runs import write_once

HINT = "remove it, and it is decided anew"


class Decisions:
    """One JSON file for each decision; of several processes the first one decides."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def decide(self, name: str, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """What was decided before, else what `make` gives, from now on."""
        file = self.folder / f"{name}.json"
        if not file.is_file():
            write_once(file, json.dumps(make(), indent=2, sort_keys=True) + "\n")
        return read_json(file, CheckpointError, HINT)

    def hold(self, options: Mapping[str, Any], command: str) -> None:
        """Raise UsageError, naming the option, where the work was begun with other options than these."""
        plain = json.loads(json.dumps(options))
        before = self.decide("options", lambda: plain)
        for key in sorted({*before, *plain}):
            if before.get(key) != plain.get(key):
                raise UsageError(
                    f"--{flag(key)} {plain.get(key)}: {self.folder.parent} was begun with {before.get(key)}",
                    f"edgekd {command} with the same options goes on; give another --output for these",
                )
