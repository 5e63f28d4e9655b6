"""`edgekd report` of what the chain made, against the figures of the other commands."""

import json
import webbrowser
from pathlib import Path
from typing import Any

import pytest

from tests.reporting.structure import Structure

STUDENT = "tiny-cnn-from-custom-student-pictures"


@pytest.fixture
def told(cli: Any, at_work: Path, tmp_path: Path) -> dict[str, Any]:
    return cli("report", STUDENT, "--output", tmp_path / "page.md", "--corrupted", 6, "--sure", 0.5, "--json").json


def test_figures_are_those_of_evaluate(cli: Any, told: dict[str, Any], tmp_path: Path) -> None:
    stored = json.loads((tmp_path / "page.json").read_text())
    found = cli("evaluate", STUDENT, "--per-class", "--confusion", "--json").json
    assert stored["quality"]["top1"] == found["top1"] == told["report"]["quality"]["top1"]
    assert stored["quality"]["loss"] == pytest.approx(found["loss"], rel=1e-6)
    assert stored["quality"]["macro"]["f1"] == pytest.approx(found["macro_f1"])
    assert stored["quality"]["confusion"] == found["confusion"]["counts"]
    assert [row["recall"] for row in stored["quality"]["classes"]] == [row["recall"] for row in found["per_class"]]
    teacher = cli("evaluate", "custom-student-pictures", "--json").json
    assert stored["teacher"]["top1"] == teacher["top1"]
    assert stored["teacher"]["params"] and stored["cost"]["params"] > 0


def test_everything_is_told_of_a_distilled_run(told: dict[str, Any], tmp_path: Path) -> None:
    report = told["report"]
    assert told["kind"] == "run" and told["facts"] == str(tmp_path / "page.json")
    assert len(report["epochs"]) == 2 and len(report["corruptions"]["rows"]) == 15
    assert report["corruptions"]["images"] == 6
    assert [each.split()[1] for each in report["commands"]] == ["train-teacher", "distill"]
    assert [each["role"] for each in report["provenance"]["parents"]] == ["teacher", "cache"]
    assert report["suspects"]["of"] == 33 and report["suspects"]["views"] == 2
    assert report["images"]["doubts"] and "thumbnail" not in report["images"]["doubts"][0]
    assert {each["file"] for each in report["cost"]["files"]} >= {"model.safetensors"}


def test_the_page_is_made_again_from_its_json_alone(cli: Any, told: dict[str, Any], tmp_path: Path) -> None:
    first = (tmp_path / "page.md").read_text()
    (tmp_path / "page.md").unlink()
    called = cli("report", tmp_path / "page.json", "--format", "markdown")
    assert called.code == 0 and (tmp_path / "page.md").read_text() == first
    pytest.importorskip("matplotlib")
    assert cli("report", tmp_path / "page.json", "--format", "html").code == 0
    found = Structure((tmp_path / "page.html").read_text())
    assert found.problems == []
    assert len(found.pictures) == len([line for line in first.splitlines() if ": labelled " in line])


def test_a_teacher_that_is_gone_is_left_out(cli: Any, at_work: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for name in ("model.safetensors", "metrics.jsonl"):
        (run / name).write_bytes((at_work / "runs" / STUDENT / name).read_bytes())
    manifest = json.loads((at_work / "runs" / STUDENT / "manifest.json").read_text())
    manifest["parents"]["teacher"]["place"] = str(tmp_path / "gone")
    manifest["parents"]["cache"]["path"] = str(tmp_path / "no-cache")
    (run / "manifest.json").write_text(json.dumps(manifest))
    called = cli("report", run, "--corrupted", 0, "--format", "markdown")
    assert called.code == 0, called.err
    assert "teacher: left out of the report" in called.err and "labels: not checked" in called.err
    stored = json.loads((run / "report.json").read_text())
    assert stored["teacher"] is None and stored["suspects"] is None and stored["corruptions"] is None


def test_an_onnx_file_is_asked_too(cli: Any, workplace: Path, folder: Path, quick: Any) -> None:
    file = workplace / "runs" / f"{STUDENT}-finetuned" / "model.onnx"
    called = cli("distill", "--teacher", file, "--live", "--data", folder, *quick, "--name", "student")
    assert called.code == 0, called.err
    told = cli("report", "student", "--corrupted", 6, "--format", "markdown", "--json").json["report"]
    assert told["teacher"]["top1"] == cli("evaluate", file, "--data", folder, "--json").json["top1"]
    assert told["teacher"]["size_bytes"] == file.stat().st_size and "teacher" in told["corruptions"]["clean"]
    assert told["suspects"] is None


def test_labels_that_were_changed_are_suspects(cli: Any, own_folder: Path, quick: Any, tmp_path: Path) -> None:
    """A teacher that saw the right labels contradicts the wrong ones."""
    fit = [*quick[:-4], "--epochs", 12, "--batch-size", 9]
    cli("train-teacher", "--model", "custom-student", "--data", own_folder, "--lr", "0.02", *fit, "--name", "teacher")
    moved = own_folder / "train" / "disc" / "000.png"
    moved.rename(own_folder / "train" / "frame" / "zzz-was-a-disc.png")
    called = cli("distill", "--teacher", "teacher", "--data", own_folder, *quick, "--views", 1, "--name", "student")
    assert called.code == 0, called.err
    options = ("--format", "markdown", "--corrupted", 0, "--sure", 0.5, "--json")
    found = cli("report", "student", *options).json["report"]["suspects"]
    assert "frame/zzz-was-a-disc.png" in found["names"] and found["images"] < 8
    listed = {each["image"]: each for each in found["listed"]}["frame/zzz-was-a-disc.png"]
    assert (listed["class"], listed["answer"]) == ("frame", "disc") and listed["confidence"] >= 0.5


@pytest.mark.parametrize("kind", ["study", "search"])
def test_studies_and_searches_are_found_in_their_folder(
    cli: Any, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = {"name": "a", "seeds": {"0": {}}, "spread": {"test_top1": {"mean": 0.5, "sd": 0.1, "n": 3}}}
    facts = {
        "study": {"study": "s", "baseline": "a", "arms": [arm], "differences": []},
        "search": {"trials": [{"params": {}, "top1": 0.5, "latency_ms": 2.0}], "front": [0], "budget": {}},
    }[kind]
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / f"{kind}.json").write_text(json.dumps(facts))
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    called = cli("report", tmp_path / "it", "--format", "markdown", "--open", "--json")
    assert called.json["kind"] == kind and "50.00%" in (tmp_path / "it" / f"{kind}.md").read_text()
    assert opened == [(tmp_path / "it" / f"{kind}.md").as_uri()]


def test_bad_sources_and_targets(cli: Any, at_work: Path, tmp_path: Path) -> None:
    assert cli("report", tmp_path / "nothing").code == 3
    assert cli("report", STUDENT, "--output", tmp_path / "page.pdf").code == 2
    assert cli("report", STUDENT, "--output", tmp_path / "page.md", "--format", "html").code == 2
    (tmp_path / "x.json").write_text('{"a": 1}')
    called = cli("report", tmp_path / "x.json", "--format", "markdown")
    assert called.code == 3 and "no facts" in called.err


def test_confusion_as_a_table(cli: Any, at_work: Path) -> None:
    for model in (STUDENT, f"runs/{STUDENT}-finetuned/model.onnx"):
        told = cli("evaluate", model, "--confusion", "--per-class", "--json").json
        counts = told["confusion"]["counts"]
        assert told["confusion"]["classes"] == ["disc", "frame", "stripes"]
        assert [sum(row) for row in counts] == [4, 4, 4]
        assert sum(counts[at][at] for at in range(3)) / 12 == pytest.approx(told["top1"])
        for at, row in enumerate(told["per_class"]):
            assert row["recall"] == counts[at][at] / 4
    lines = cli("evaluate", STUDENT, "--confusion").out.splitlines()
    assert any(line.split() == ["class", "disc", "frame", "stripes"] for line in lines)
