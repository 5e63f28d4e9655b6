"""From facts to a page: which kind of report a JSON object is."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgekd.errors import CheckpointError
from edgekd.reporting.blocks import Page
from edgekd.reporting.profile_page import profile_page
from edgekd.reporting.run_page import run_page
from edgekd.reporting.study_page import search_page, study_page

KINDS: dict[str, tuple[str, Callable[[Any], Page]]] = {
    "run": ("quality", run_page),
    "search": ("trials", search_page),
    "study": ("arms", study_page),
    "profile": ("models", profile_page),
}
"""Each kind of facts: a key that only it has, and its page."""
FORMAT = 1
"""The newest format of report.json that is known."""


def kind_of(facts: Mapping[str, Any], place: Path) -> str:
    """The kind of a JSON object; raises CheckpointError when it is none of them, or of a newer format."""
    if facts.get("kind") == "run" and facts.get("format", FORMAT) > FORMAT:
        raise CheckpointError(f"{place}: format {facts['format']} is newer than this edgekd knows", "update edgekd")
    for kind, (key, _) in KINDS.items():
        if key in facts:
            return kind
    raise CheckpointError(f"{place}: no facts of a run, a study, a search or a profile", "give one of these")


def page_of(facts: Mapping[str, Any], place: Path) -> Page:
    """The page; raises CheckpointError when the facts lack something."""
    make = KINDS[kind_of(facts, place)][1]
    try:
        return make(facts)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        what = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{place}: damaged ({what})", "make it again") from error
