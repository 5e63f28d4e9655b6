"""Training on the INT8 grid: start, run folder, the network built again from it, and its file."""

from pathlib import Path
from typing import Any

import pytest

from edgekd.config import Code
from edgekd.models.trained import load_network
from edgekd.quantization.placement import fakes_of
from edgekd.runs import Run

STUDENT = "tiny-cnn-from-custom-student-pictures"


@pytest.fixture
def tuned(cli: Any, copy: Path, quick: tuple[object, ...]) -> Path:
    """A run that was trained for an epoch on the grid."""
    called = cli("finetune", f"{STUDENT}-finetuned", "--quantize", "int8", *quick, "--json")
    assert called.code == 0, called.err
    assert "tensors rounded to 8 bits" in called.err
    return copy / "runs" / f"{STUDENT}-int8"


def test_a_run_on_the_grid(cli: Any, tuned: Path) -> None:
    manifest = Run(tuned).manifest()
    assert manifest["model"]["transforms"][0]["name"] == "int8" and manifest["config"]["precision"] == "fp32"
    network = load_network(Run(tuned), Code())
    assert len(fakes_of(network.backbone)) == 15
    assert all(float(fake.extent[1]) > 0 for fake in fakes_of(network.backbone).values())
    assert cli("evaluate", tuned, "--json").json["top1"] == pytest.approx(manifest["result"]["test_top1"])
    called = cli("export", tuned, "--threads", 1, "--duration", 0.05, "--json")
    assert called.code == 0, called.err
    files = {each["kind"]: each for each in called.json["files"]}
    assert files["int8"]["learnt"] and files["int8"]["fused"]["in_int8"] == 12
    assert files["int8"]["parity"]["top1_agreement"] == 1
    assert "not in training" not in called.err


def test_distillation_on_the_grid_starts_from_trained_weights(cli: Any, copy: Path, quick: tuple[object, ...]) -> None:
    bare = cli("distill", "--quantize", "int8", *quick)
    assert bare.code == 2 and "--student-weights" in bare.err
    weights = copy / "runs" / STUDENT / "model.safetensors"
    called = cli("distill", "--quantize", "int8", "--student-weights", weights, *quick, "--json")
    assert called.code == 0, called.err
    manifest = Run(copy / "runs" / f"{STUDENT}-int8").manifest()
    assert manifest["model"]["transforms"] and manifest["parents"]["cache"]


def test_a_coarser_number_format_is_refused(cli: Any, at_work: Path) -> None:
    called = cli("finetune", STUDENT, "--quantize", "int8", "--precision", "bf16", "--epochs", 1, "--name", "coarse")
    assert called.code == 2 and "exclude each other" in called.err


def test_an_unknown_transform_is_told(cli: Any, copy: Path) -> None:
    run = Run(copy / "runs" / STUDENT)
    run.update(model=run.manifest()["model"] | {"transforms": [{"name": "int3"}]})
    called = cli("evaluate", STUDENT)
    assert called.code == 3 and "int3" in called.err
