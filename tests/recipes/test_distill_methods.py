"""Methods from the command line: maps from caches, strong views, no teacher at all, and what cannot work."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgekd.methods import METHODS
from edgekd.runs import Run

TEACHER = "custom-student-pictures"
STUDENT = ("--student", "resnet8")


def parts(place: Path, run: str) -> dict[str, float]:
    rows = (place / "runs" / run / "metrics.jsonl").read_text().splitlines()
    return json.loads(rows[-1])


def test_maps_from_a_cache_are_those_of_the_teacher(cli: Any, copy: Path, quick: Any) -> None:
    options = ("distill", *quick, "--method", "at", "--view-seed", 0)
    called = cli(*options, "--name", "cached", "--json")
    assert called.code == 0 and called.json["parents"]["cache"]["path"] == f"cache/{TEACHER}-at", called.err
    assert cli(*options, "--name", "live", "--live").code == 0
    assert parts(copy, "cached")["at"] == pytest.approx(parts(copy, "live")["at"], rel=2e-2)


def test_both_views_are_shown(cli: Any, copy: Path, quick: Any) -> None:
    called = cli("distill", *quick, "--method", "crld", "--live", "--accumulate", 2, "--mixup", 0.2, "--name", "x")
    assert called.code == 0, called.err
    row = parts(copy, "x")
    assert row["cross"] > 0 and row["ce_strong"] != row["ce"]


def test_strong_views_are_cached_beside_the_weak_ones(
    cli: Any, copy: Path, quick: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("distill", *quick, "--method", "crld", "--epochs", 2)
    called = cli(*options, "--name", "cached", "--json")
    assert called.code == 0 and called.json["parents"]["strong"]["path"] == f"cache/{TEACHER}-strong", called.err
    plans = [json.loads((copy / "cache" / name / "plan.json").read_text()) for name in (TEACHER, f"{TEACHER}-strong")]
    assert plans[1]["views"]["randaugment"] == 2 and plans[1]["views"]["erase"] == 0.5
    assert plans[0]["views"]["seed"] == plans[1]["views"]["seed"]
    assert cli(*options, "--name", "live", "--live", "--view-seed", plans[0]["views"]["seed"]).code == 0
    for part in ("within", "cross"):
        assert parts(copy, "cached")[part] == pytest.approx(parts(copy, "live")[part], rel=2e-2)
    # resumed from the caches by name
    Run(copy / "runs" / "cached").update(status="interrupted")
    assert cli("distill", "--name", "cached", "--resume").code == 0
    # the newest cache is that of the strong views, which a method of one view must not take
    called = cli("distill", *quick, "--name", "kd", "--json")
    assert called.json["parents"]["cache"]["path"] == f"cache/{TEACHER}"


def test_self_distillation_asks_for_no_teacher(cli: Any, folder: Path, quick: Any, tmp_path: Path) -> None:
    called = cli("distill", *quick, *STUDENT, "--method", "early-exits", "--data", folder, "--json")
    assert called.code == 0 and called.json["parents"] == {}, called.err
    run = Run(tmp_path / "runs" / "resnet8-early-exits-pictures")
    assert run.is_there and not (tmp_path / "cache").exists()
    assert {"ce", "ce_exits", "kd_exits", "hint"} <= set(parts(tmp_path, "resnet8-early-exits-pictures"))
    assert run.manifest()["params"] == called.json["params"]
    called = cli("distill", *quick, "--method", "early-exits", "--data", folder, "--teacher", "resnet8", "--name", "x")
    assert called.code == 2 and "--teacher: --method early-exits asks no teacher" in called.err


@pytest.mark.parametrize(
    ("options", "problem", "hint"),
    [
        (("--method", "rkd", "--batch-size", 1, "--live"), "compares images with each other", "--batch-size"),
        (("--method", "dist", "--batch-size", 4, "--accumulate", 4), "compares images with each other", "fewer pieces"),
        (("--method", "deit-soft"), "heads:token, which this student does not give", "another model"),
        (("--method", "mlkd", "--cache", TEACHER), f"{TEACHER}-strong: not there", "--teacher custom-student"),
        (("--method", "at", "--cache", TEACHER), "feature maps, which this teacher does not give", "--for at"),
        (("--method", "rkd", "--cache", TEACHER), "pooled, which this teacher does not give", "--for rkd"),
        (("--method", "early-exits", "--dry-run"), "learns from no other network", "--steps 20"),
        (("--method", "mlkd", "--dry-run"), "a strong view of each image as well", "--steps 20"),
        (("--method", "crld", "--peers", "resnet8"), "one view is all that peers are shown", "kd, ls, dkd"),
        (("--method", "early-exits", "--peers", "resnet8"), "learns from no other network", "kd, ls, dkd"),
        (("--method", "dkd", "--set", "beta=-1"), "--set beta=-1.0: out of range", "give 0"),
    ],
)
def test_what_cannot_work_is_said_with_what_would(
    cli: Any, copy: Path, quick: Any, options: tuple[object, ...], problem: str, hint: str
) -> None:
    called = cli("distill", *quick, *options, "--name", "x")
    assert called.code in (2, 3) and problem in called.err and hint in called.err, called.err


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, row in METHODS.items() if "token" not in row.student])
def test_every_method_trains_live(cli: Any, copy: Path, quick: Any, name: str) -> None:
    teacher = (
        ("--live",)
        if METHODS[name].teacher
        else ("--data", json.loads((copy / "runs" / TEACHER / "manifest.json").read_text())["data"]["options"]["data"])
    )
    called = cli("distill", *quick, *STUDENT, "--method", name, *teacher, "--name", "x", "--json")
    assert called.code == 0, called.err


def test_what_a_ramp_came_to_is_in_the_metrics(cli: Any, copy: Path, quick: Any) -> None:
    ramps = ("--ramp", "alpha=1:0.4", "--ramp", "temperature=4:1", "--epochs", 3)
    called = cli("distill", "--teacher", "custom-student-pictures", *quick, *ramps, "--name", "x")
    assert called.code == 0, called.err
    rows = [json.loads(line) for line in (copy / "runs/x/metrics.jsonl").read_text().splitlines()]
    steps = rows[-1]["step"]
    for row in rows:
        progress = (row["step"] - 1) / steps
        assert row["set_alpha"] == pytest.approx(1 - 0.6 * progress)
        assert row["set_temperature"] == pytest.approx(4 - 3 * progress)
    manifest = copy / "runs/x/manifest.json"
    assert json.loads(manifest.read_text())["config"]["ramp"] == ["alpha=1:0.4", "temperature=4:1"]
