import json
from pathlib import Path
from typing import Any

import pytest

from edgekd.config import Distill
from edgekd.errors import UsageError

TEACHER = "custom-student-pictures"
SAME = (
    *("steps", "batch_size", "lr", "weight_decay", "optimizer", "precision", "memory_format", "seed"),
    *("crop", "flip", "mixup", "label_smoothing"),
)


def manifest(run: str) -> dict[str, Any]:
    return json.loads((Path("runs") / run / "manifest.json").read_text())


def test_two_seeds_distilled_and_alone(cli: Any, copy: Path, quick: Any) -> None:
    asked = ("distill", "--teacher", TEACHER, "--name", "x", "--seeds", 2, "--seed", 4, *quick, "--json")
    called = cli(*asked)
    assert called.code == 0, called.err
    gain = called.json["gain"]
    pairs = [{"distilled": f"runs/{name}", "alone": f"runs/{name}-alone"} for name in ("x", "x-s5")]
    assert gain["runs"] == pairs and (gain["seeds"], gain["images"]) == (2, 12)
    assert gain["low"] <= gain["mean"] <= gain["high"]
    results = [[manifest(Path(pair[each]).name) for each in ("distilled", "alone")] for pair in pairs]
    accuracy = [[each["result"]["test_top1"] for each in pair] for pair in results]
    assert gain["mean"] == pytest.approx(sum(taught - alone for taught, alone in accuracy) / 2)
    for (taught, alone), seed in zip(results, (4, 5), strict=True):
        assert alone["command"] == "train-teacher" and alone["config"]["seed"] == seed
        assert alone["result"]["steps"] == taught["result"]["steps"] == 3
        assert alone["data"] == taught["data"] and alone["model"]["name"] == taught["model"]["name"]
        config = taught["config"] | {"steps": 3}
        assert {name: alone["config"][name] for name in SAME} == {name: config[name] for name in SAME}
    assert called.json["alone"]["run"] == "runs/x-alone" or called.json["alone"]["run"] == "runs/x-s5-alone"


def test_a_comparison_goes_on_where_it_stopped(cli: Any, copy: Path, quick: Any) -> None:
    asked = ("distill", "--teacher", TEACHER, "--name", "x", *quick)
    assert cli(*asked).code == 0
    before = manifest("x")
    called = cli(*asked, "--compare-alone", "--resume", "--json")
    assert called.code == 0, called.err
    assert manifest("x") == before and manifest("x-alone")["status"] == "finished"
    again = cli(*asked, "--compare-alone", "--resume")
    assert again.code == 0 and "1 seed" in again.out and "distilled against alone" in again.out
    refused = cli(*asked, "--compare-alone")
    assert refused.code == 2 and "exists already" in refused.err


@pytest.mark.parametrize("how", [{"compare_alone": True}, {"seeds": 2}])
def test_a_comparison_has_no_dry_run_and_no_peers(how: dict[str, Any]) -> None:
    for other in ({"dry_run": True}, {"peers": ("resnet8",)}):
        with pytest.raises(UsageError, match="exclude each other"):
            Distill(**how, **other)


def test_the_patient_schedule_mixes_many_views(cli: Any, copy: Path) -> None:
    fit = ("--threads", 1, "--precision", "fp32", "--memory-format", "channels-last", "--batch-size", 9)
    asked = ("distill", "--teacher", TEACHER, "--name", "x", "--schedule", "patient", "--steps", 4, *fit)
    called = cli(*asked)
    assert called.code == 0, called.err
    first = manifest("x")
    assert (first["config"]["mixup"], first["config"]["views"], first["config"]["schedule"]) == (0.2, 16, "patient")
    assert first["views"]["mixup"] == 0.2 and first["config"]["epochs"] == 4_000
    assert first["parents"]["cache"]["path"] == f"cache/{TEACHER}-patient"
    Path("runs/x/manifest.json").write_text(json.dumps(first | {"status": "interrupted"}))
    assert cli(*asked, "--resume").code == 0
    assert manifest("x")["config"] == first["config"] | {"resume": True}
    # what is given holds, and the plain cache is used for it
    given = cli(*asked[:4], "y", *asked[5:], "--mixup", 0, "--views", 2, "--json")
    assert given.code == 0, given.err
    assert manifest("y")["config"]["mixup"] == 0 and manifest("y")["config"]["views"] == 2
    assert given.json["parents"]["cache"]["path"] == f"cache/{TEACHER}"


def test_the_quick_schedule_writes_a_cache_of_two_views(cli: Any, copy: Path, quick: Any) -> None:
    asked = ("distill", "--teacher", TEACHER, "--schedule", "quick", "--steps", 2, *quick[:6], "--caches", "new")
    assert cli(*asked, "--name", "x").code == 0
    assert manifest("x")["config"]["views"] == 2
    assert cli(*asked, "--name", "y", "--views", 3).code == 0
    assert manifest("y")["config"]["views"] == 3
