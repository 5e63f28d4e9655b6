"""`distill --generations`: each student teaches the next."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgekd.config import Distill
from edgekd.errors import UsageError

TEACHER = "custom-student-pictures"
STUDENT = ("--student", "custom-student")


def manifest(run: str) -> dict[str, Any]:
    return json.loads((Path("runs") / run / "manifest.json").read_text())


@pytest.mark.parametrize("source", [(), pytest.param(("--live",), marks=pytest.mark.slow)])
def test_every_student_teaches_the_next(cli: Any, copy: Path, quick: Any, source: tuple[str, ...]) -> None:
    asked = ("distill", "--teacher", TEACHER, *STUDENT, "--name", "x", "--generations", 3, *source, *quick, "--json")
    called = cli(*asked)
    assert called.code == 0, called.err
    runs = ["x-g1", "x-g2", "x"]
    assert [each["run"] for each in called.json["generations"]] == [f"runs/{name}" for name in runs]
    found = [manifest(name) for name in runs]
    sums = [each["parents"]["teacher"]["sha256"] for each in found]
    assert sums == [manifest(name)["weights_sha256"] for name in (TEACHER, "x-g1", "x-g2")]
    assert [each["config"]["seed"] for each in found] == [0, 1, 2]
    assert called.json["test_top1"] == found[2]["result"]["test_top1"]


def test_it_goes_on_with_the_generation_at_which_it_stopped(cli: Any, copy: Path, quick: Any) -> None:
    asked = ("distill", "--teacher", TEACHER, *STUDENT, "--name", "x", "--generations", 2, *quick)
    assert cli(*asked).code == 0
    first, last = manifest("x-g1"), manifest("x")
    Path("runs/x/manifest.json").write_text(json.dumps(last | {"status": "interrupted"}))
    called = cli(*asked, "--resume")
    assert called.code == 0, called.err
    assert manifest("x-g1") == first and manifest("x")["weights_sha256"] == last["weights_sha256"]
    # stopped between two generations: the last one was never begun
    for path in Path("runs/x").rglob("*"):
        path.unlink() if path.is_file() else None
    Path("runs/x/last").rmdir()
    Path("runs/x").rmdir()
    assert cli(*asked, "--resume").code == 0
    assert manifest("x")["weights_sha256"] == last["weights_sha256"]
    refused = cli(*asked)
    assert refused.code == 2 and "--resume goes on with it" in refused.err


@pytest.mark.parametrize("other", [{"peers": ("resnet8",)}, {"dry_run": True}, {"seeds": 2}, {"compare_alone": True}])
def test_what_trains_several_otherwise_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--generations 2 and .* exclude each other"):
        Distill(generations=2, **other)


def test_a_method_without_a_teacher_has_no_generations(cli: Any, folder: Path) -> None:
    called = cli("distill", "--method", "early-exits", "--data", folder, "--generations", 2)
    assert called.code == 2 and "--generations 2: --method early-exits asks no teacher" in called.err
