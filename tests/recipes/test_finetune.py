import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from edgekd.runs import Run

STUDENT = "tiny-cnn-from-custom-student-pictures"


@pytest.fixture
def copy(workplace: Path, tmp_path: Path) -> Path:
    shutil.copytree(workplace / "runs", tmp_path / "runs")
    return tmp_path


def tensors(place: Path, run: str) -> dict[str, Any]:
    return load_file(place / "runs" / run / "model.safetensors")


def last(place: Path, run: str) -> dict[str, torch.Tensor]:
    """The weights after the last step, whether or not they were the best."""
    state = torch.load(place / "runs" / run / "last" / "state.pt", weights_only=True)["update"]["objective"]
    prefix = "network.backbone."
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def changed(place: Path, run: str) -> set[str]:
    before, after = tensors(place, STUDENT), last(place, run)
    return {
        name
        for name in before
        if "num_batches" not in name and "running" not in name and not before[name].equal(after[name])
    }


def test_a_frozen_backbone_stays(cli: Any, copy: Path, quick: Any) -> None:
    assert cli("finetune", STUDENT, "--name", "head", "--freeze", "backbone", *quick).code == 0
    assert len(changed(copy, "head")) == 2


def test_half_frozen_changes_more(cli: Any, copy: Path, quick: Any) -> None:
    assert cli("finetune", STUDENT, "--name", "half", "--freeze", "half", *quick).code == 0
    assert 2 < len(changed(copy, "half")) < len(tensors(copy, STUDENT))


def test_other_data_gets_a_fresh_head(cli: Any, copy: Path, own_folder: Path, quick: Any) -> None:
    for split in ("train", "test"):
        shutil.rmtree(own_folder / split / "disc")
    called = cli("finetune", STUDENT, "--data", own_folder, *quick, "--layer-decay", 0.5, "--json")
    assert called.code == 0 and "head starts fresh" in called.err, called.err
    run = copy / called.json["run"]
    assert run.name == f"{STUDENT}-finetuned-pictures"
    assert json.loads((run / "manifest.json").read_text())["model"]["classes"] == ["frame", "stripes"]


def test_an_unknown_run_gets_the_nearest_name(cli: Any, copy: Path) -> None:
    called = cli("finetune", "tiny-cnn-from-custom-student-picture")
    assert called.code == 3 and STUDENT in called.err


def test_statistics_of_frozen_layers_stay(cli: Any, copy: Path, quick: Any) -> None:
    assert cli("finetune", STUDENT, "--name", "head", "--freeze", "backbone", *quick, "--lr", 0).code == 0
    before, after = tensors(copy, STUDENT), last(copy, "head")
    assert all(before[name].equal(after[name]) for name in before)


def test_a_run_is_not_overwritten_by_its_own_child(cli: Any, copy: Path) -> None:
    called = cli("finetune", STUDENT, "--name", STUDENT, "--overwrite")
    assert called.code == 2 and (copy / "runs" / STUDENT / "model.safetensors").is_file()


def test_a_start_that_no_epoch_beats_is_kept(cli: Any, copy: Path, quick: Any) -> None:
    start = load_file(copy / "runs" / "custom-student-pictures" / "model.safetensors")
    called = cli("finetune", "custom-student-pictures", *quick, "--name", "kept", "--lr", 0, "--json")
    kept = load_file(copy / "runs" / "kept" / "model.safetensors")
    assert called.json["best_epoch"] == 0, called.err
    assert all(torch.equal(kept[name], start[name]) for name in start)


def interrupted(place: Path, run: str) -> Path:
    """The run as if it had been stopped before its first save."""
    found = Run(place / "runs" / run)
    found.update(status="interrupted")
    shutil.rmtree(found.last.parent)
    return found.path


def test_a_resumed_run_keeps_its_start(cli: Any, copy: Path, quick: Any) -> None:
    assert cli("finetune", "--name", "tuned", *quick).code == 0
    run = interrupted(copy, "tuned")
    before = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").unlink()
    assert cli("distill", *quick, "--seed", 5, "--name", "newer").code == 0
    assert cli("finetune", "--name", "tuned", "--resume").code == 0
    assert (run / "model.safetensors").read_bytes() == before
    assert json.loads((run / "manifest.json").read_text())["parents"]["start"]["run"] == f"runs/{STUDENT}"


def test_a_start_that_was_made_anew_is_not_gone_on_from(cli: Any, copy: Path, quick: Any) -> None:
    assert cli("finetune", "--name", "tuned", *quick).code == 0
    interrupted(copy, "tuned")
    assert cli("distill", *quick, "--seed", 5, "--name", STUDENT, "--overwrite").code == 0
    called = cli("finetune", "--name", "tuned", "--resume")
    assert called.code == 3 and "another start" in called.err and "--overwrite" in called.err


def test_other_views_than_the_run_was_begun_with_are_told(cli: Any, copy: Path, quick: Any) -> None:
    assert cli("finetune", "--name", "tuned", *quick).code == 0
    run = Run(interrupted(copy, "tuned"))
    run.update(views=run.manifest()["views"] | {"version": 1})
    called = cli("finetune", "--name", "tuned", "--resume")
    assert called.code == 3 and "other views" in called.err
