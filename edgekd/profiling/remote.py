"""Measuring on another machine through the system's ssh."""
from typing import Any
from edgekd.config import Profile
from edgekd.report import Reporter
def survey_remotely(config: Profile, report: Reporter) -> dict[str, Any]:
    """."""
    raise NotImplementedError
