"""A method that reads maps, from the command line: live, from cached columns, resumed; what is kept of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from edgekd.cache.store import open_cache
from edgekd.compute.evaluate import Score, evaluate_together
from edgekd.runs import Run

TEACHER = "custom-student-pictures"
FITNET = ("--method", "fitnet", "--set", "student_stage=stage1", "--set", "teacher_stage=stage2")
MINE = """
from dataclasses import dataclass

from edgekd.methods.contract import Method, Part


@dataclass(frozen=True)
class Options:
    strength: float = 1.0


class Mine(Method):
    def __init__(self, options):
        super().__init__()
        self.strength = options.strength

    def forward(self, student, teacher, batch, progress):
        return {"apart": Part((student.logits - teacher.logits).square().mean(), self.strength)}


def create(options):
    return Mine(options)
"""


def hints(place: Path, run: str) -> list[float]:
    rows = (place / "runs" / run / "metrics.jsonl").read_text().splitlines()
    return [json.loads(row)["hint"] for row in rows]


def test_maps_are_learnt_live_and_from_a_cached_column(cli: Any, copy: Path, quick: Any) -> None:
    shutil.rmtree(copy / "cache")
    options = ("distill", *quick, *FITNET, "--epochs", 2, "--view-seed", 0)
    called = cli(*options, "--views", 2, "--name", "cached", "--json")
    assert called.code == 0 and called.json["parents"]["cache"]["path"] == f"cache/{TEACHER}", called.err
    assert open_cache(copy / "cache" / TEACHER).plan.extras == {"map:stage2": [32, 32, 32]}
    called = cli(*options, "--name", "live", "--live", "--json")
    assert called.code == 0 and "cache" not in called.json["parents"], called.err
    # stored as fp16
    assert hints(copy, "cached") == pytest.approx(hints(copy, "live"), rel=2e-3)


def test_a_cache_without_the_column_is_left_and_another_written(cli: Any, copy: Path, quick: Any) -> None:
    before = (copy / "cache" / TEACHER / "plan.json").read_bytes()
    called = cli("distill", *quick, *FITNET, "--name", "x", "--json")
    assert called.code == 0 and called.json["parents"]["cache"]["path"] == f"cache/{TEACHER}-fitnet", called.err
    assert (copy / "cache" / TEACHER / "plan.json").read_bytes() == before
    assert cli("distill", *quick, *FITNET, "--cache", f"{TEACHER}-fitnet", "--name", "y").code == 0
    weights = [(copy / "runs" / name / "model.safetensors").read_bytes() for name in ("x", "y")]
    assert weights[0] == weights[1]


def test_a_named_cache_without_the_column_is_refused_with_the_way_on(cli: Any, copy: Path, quick: Any) -> None:
    called = cli("distill", *quick, *FITNET, "--cache", TEACHER, "--name", "x")
    assert called.code == 2 and "features:stage2, which this teacher does not give" in called.err
    assert "cache-logits --columns map:stage2" in called.err and not (copy / "runs" / "x").exists()


def stop_at_validation(number: int, patch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in this validation of a training: what the epochs before it saved is there."""
    calls = iter(range(1, number + 1))

    def evaluated(*arguments: Any) -> Score:  # noqa: ANN401
        if next(calls) == number:
            raise KeyboardInterrupt
        return evaluate_together(*arguments)

    patch.setattr("edgekd.training.keeper.evaluate_together", evaluated)


@pytest.mark.parametrize("how", [(), ("--live",)])
def test_the_regressor_is_resumed_but_not_deployed(
    cli: Any, copy: Path, quick: Any, how: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("distill", *quick, *FITNET, *how, "--epochs", 3)
    assert cli(*options, "--name", "whole").code == 0
    whole, cut = (Run(copy / "runs" / name) for name in ("whole", "cut"))
    with monkeypatch.context() as patch:
        stop_at_validation(2, patch)
        assert cli(*options, "--name", "cut").code == 130
    state = torch.load(cut.last, weights_only=True)
    assert any(name.startswith("method.regressor") for name in state["update"]["objective"])
    with safe_open(whole.weights, "pt") as file:
        assert not any("regressor" in name for name in file.keys())  # noqa: SIM118
    called = cli("distill", "--name", "cut", "--resume")
    assert called.code == 0, called.err
    assert whole.weights.read_bytes() == cut.weights.read_bytes()


def test_a_cache_is_made_for_a_method(cli: Any, copy: Path, quick: Any) -> None:
    settings = ("--set", "teacher_stage=stage2", "--set", "student_stage=stage3")
    options = ("--for", "fitnet", *settings, "--student", "tiny-cnn", "--columns", "pooled", "--views", 1)
    called = cli("cache-logits", *options, "--name", "hints", "--threads", 1)
    assert called.code == 0, called.err
    assert open_cache(copy / "cache" / "hints").plan.extras == {"map:stage2": [32, 32, 32], "pooled": [30]}
    called = cli("distill", *quick, "--method", "fitnet", *settings, "--cache", "hints", "--name", "x")
    assert called.code == 0, called.err
    called = cli("cache-logits", "--for", "fitnet", "--set", "teacher_stage=stage9", "--name", "y")
    assert called.code == 2 and "features:stage9, which this teacher does not give" in called.err


def test_a_method_of_ones_own_is_a_file(cli: Any, copy: Path, quick: Any) -> None:
    (copy / "mine.py").write_text(MINE)
    own = ("--method", "./mine.py", "--set", "strength=0.5")
    called = cli("distill", *quick, *own, "--name", "own", "--json")
    assert called.code == 0 and called.json["parents"]["method"]["file"] == str(copy / "mine.py"), called.err
    row = json.loads((copy / "runs" / "own" / "metrics.jsonl").read_text())
    assert row["loss"] == pytest.approx(row["ce"] + 0.5 * row["apart"], rel=1e-4)
    called = cli("distill", *quick, "--method", "./mine.py", "--set", "strenth=1", "--name", "x")
    assert called.code == 2 and "nearest: strength" in called.err
    (copy / "mine.py").write_text(MINE.replace("create", "make"))
    called = cli("distill", *quick, "--method", "./mine.py", "--name", "x")
    assert called.code == 3 and "has no create" in called.err
    Run(copy / "runs" / "own").update(status="interrupted")
    (copy / "mine.py").write_text(MINE + "\n")
    called = cli("distill", "--name", "own", *own, "--resume")
    assert called.code == 3 and "another method" in called.err


def test_a_method_file_that_only_the_run_names_is_not_run(
    cli: Any, copy: Path, quick: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / "mine.py").write_text(MINE)
    assert cli("distill", *quick, "--method", "./mine.py", "--name", "own").code == 0
    Run(copy / "runs" / "own").update(status="interrupted")
    # as in a new process
    monkeypatch.setattr("edgekd.models.ownfile._RUN", set())
    called = cli("distill", "--name", "own", "--resume")
    assert called.code == 3 and "--trust-code" in called.err
    assert cli("distill", "--name", "own", "--resume", "--trust-code").code == 0
    Run(copy / "runs" / "own").update(status="interrupted")
    (copy / "mine.py").write_text(MINE + "\n")
    called = cli("distill", "--name", "own", "--resume", "--trust-code")
    assert called.code == 3 and "has changed" in called.err


@pytest.mark.parametrize("update", ["simultaneous", "alternating"])
def test_peers_are_trained_saved_and_resumed(
    cli: Any, folder: Path, quick: Any, update: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = ("--student", "custom-student", "--peers", "tiny-cnn,custom-student", "--update", update)
    options = ("distill", *quick, *peers, "--data", folder, "--epochs", 3)
    called = cli(*options, "--name", "whole")
    assert called.code == 0, called.err
    with monkeypatch.context() as patch:
        stop_at_validation(2, patch)
        assert cli(*options, "--name", "cut").code == 130
    assert cli("distill", "--name", "cut", "--resume").code == 0
    for part in ("", "peers/tiny-cnn", "peers/custom-student"):
        whole, cut = (Run(tmp_path / "runs" / name).part(part) for name in ("whole", "cut"))
        assert whole.weights.read_bytes() == cut.weights.read_bytes()
        assert cut.manifest()["status"] == "finished" and cut.manifest()["model"]["name"] in part or not part
    assert cli("evaluate", "runs/cut/peers/tiny-cnn", "--json").code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--peers", "tiny-cnn", "--live"), "--peers and --live"),
        (("--update", "alternating"), "without --peers"),
        (("--peers", "tiny-cm"), "tiny-cnn"),
    ],
)
def test_peers_that_mean_nothing_are_refused(
    cli: Any, folder: Path, quick: Any, options: tuple[str, ...], words: str
) -> None:
    called = cli("distill", "--data", folder, *quick, *options, "--name", "x")
    assert called.code == 2 and words in called.err
