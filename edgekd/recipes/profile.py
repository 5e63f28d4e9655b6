"""`edgekd profile`: measure ONNX models here (or on a device through ssh) and judge them. Never imports torch."""

from typing import Any

from edgekd.config import Profile
from edgekd.errors import CheckFailed
from edgekd.profiling.remote.ssh import survey_remotely
from edgekd.profiling.survey import survey
from edgekd.profiling.tables import lines_of, misses, tables_of
from edgekd.report import Reporter, Result
from edgekd.reporting.documents import check_target, write_page
from edgekd.reporting.profile_page import SUFFIXES, profile_page
from edgekd.runs import write_json


def run(config: Profile, report: Reporter) -> Result:
    """Measure, judge, compare; `Result.failure` is CheckFailed when a limit, parity or the baseline is missed."""
    if config.report is not None:
        check_target(config.report, SUFFIXES, "--report")
    found = survey_remotely(config, report) if config.on else survey(config, report)
    for words in found["warnings"]:
        report.warn(words)
    if config.report is not None:
        if config.report.suffix == ".json":
            write_json(config.report, found)
        else:
            write_page(profile_page(found), config.report)
        report.note(f"report written to {config.report}")
    return Result(found, tables_of(found), lines_of(found), _failure(found))


def _failure(found: dict[str, Any]) -> CheckFailed | None:
    missed = misses(found)
    if not missed:
        return None
    more = f" (and {len(missed) - 1} more)" if len(missed) > 1 else ""
    return CheckFailed(
        missed[0] + more, "a smaller, quantised or newly exported model; or other limits, if these are not meant"
    )
