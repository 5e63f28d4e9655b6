"""Reports as files."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from edgekd.config import Profile
from edgekd.errors import DataError, MissingDependency, UsageError
from edgekd.profiling import documents
from edgekd.profiling.survey import survey
from edgekd.report import Silent


@pytest.fixture(scope="module")
def made(built: Path) -> dict[str, Any]:
    models = (str(built), str(built.parent))
    return survey(Profile(models=models, warmup=0.02, duration=0.1, max_params=300, operators=True), Silent())


@pytest.fixture
def report(made: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(made)


def test_json_is_the_report_itself(report: dict[str, Any], tmp_path: Path) -> None:
    documents.write_document(report, tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text()) == json.loads(json.dumps(report))


def test_markdown_has_every_table(report: dict[str, Any], tmp_path: Path) -> None:
    documents.write_document(report, tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text()
    for title in ("Latency of one batch, ms", "Models", "operators as written", "Limits", "Machine and conditions"):
        assert title in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)


def test_html_has_plots_and_the_report_s_json(report: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    documents.write_document(report, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert text.count('src="data:image/png;base64,') == 3
    embedded = text.split('id="report">')[1].split("</script>")[0]
    assert json.loads(embedded)["models"][0]["sha256"] == report["models"][0]["sha256"]


def test_names_cannot_break_the_page(report: dict[str, Any]) -> None:
    pytest.importorskip("matplotlib")
    report["models"][0]["name"] = "<script>alert(1)</script>"
    assert "<script>alert" not in documents.page(report)


def test_another_suffix_is_refused() -> None:
    with pytest.raises(UsageError, match=r"r\.pdf"):
        documents.check_target(Path("r.pdf"))


def test_a_place_that_cannot_be_written_is_refused_before_measuring(tmp_path: Path) -> None:
    (tmp_path / "old.md").write_text("an earlier report is replaced")
    documents.check_target(tmp_path / "old.md")
    documents.check_target(tmp_path / "new" / "deep" / "r.md")
    (tmp_path / "folder.md").mkdir()
    with pytest.raises(UsageError, match="a folder"):
        documents.check_target(tmp_path / "folder.md")
    with pytest.raises(DataError):
        documents.check_target(tmp_path / "old.md" / "r.md")


def test_html_without_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency) as caught:
        documents.check_target(Path("r.html"))
    assert "edgekd[report]" in caught.value.hint
