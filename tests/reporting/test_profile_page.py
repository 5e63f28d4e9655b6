"""The page on a profile."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgekd.config import Profile
from edgekd.profiling.survey import survey
from edgekd.report import Silent
from edgekd.reporting import documents
from edgekd.reporting.pages import kind_of
from edgekd.reporting.profile_page import profile_page
from tests.profiling.conftest import built
from tests.reporting.structure import Structure

__all__ = ["built"]


@pytest.fixture(scope="module")
def made(built: Path) -> dict[str, Any]:
    models = (str(built), str(built.parent))
    return survey(Profile(models=models, warmup=0.02, duration=0.1, max_params=300, operators=True), Silent())


@pytest.fixture
def report(made: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(made)


def test_markdown_has_every_table(report: dict[str, Any]) -> None:
    text = documents.markdown(profile_page(report))
    for title in ("Latency of one batch, ms", "Models", "operators as written", "Limits", "Machine and conditions"):
        assert title in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)


def test_html_has_plots_and_the_report_s_json(report: dict[str, Any]) -> None:
    pytest.importorskip("matplotlib")
    text = documents.html(profile_page(report))
    found = Structure(text)
    assert found.problems == [] and len(found.plots) == 3
    embedded = text.split('id="report">')[1].split("</script>")[0]
    assert json.loads(embedded)["models"][0]["sha256"] == report["models"][0]["sha256"]


def test_names_cannot_break_the_page(report: dict[str, Any]) -> None:
    pytest.importorskip("matplotlib")
    report["models"][0]["name"] = "<script>alert(1)</script>"
    assert "<script>alert" not in documents.html(profile_page(report))


def test_its_json_is_known(report: dict[str, Any]) -> None:
    assert kind_of(report, Path("p.json")) == "profile"


def test_pages_on_profiles_need_neither_torch_nor_the_extra() -> None:
    code = (
        "import sys, edgekd.recipes.profile, edgekd.recipes.report; "
        "print(sorted({'torch', 'matplotlib', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
