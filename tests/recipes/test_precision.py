"""Number formats of training: what is computed in few bits says so, and what is saved is float32."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

FIT = ["--threads", "1", "--memory-format", "channels-last", "--quiet", "--epochs", "1", "--batch-size", "9"]
SIMULATED = {"real": 0.0, "simulated": 1.0}


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def test_cached_answers_and_their_student_name_the_format(cli: Any, copy: Path) -> None:
    cached = cli("cache-logits", "--name", "coarse", "--views", 1, "--precision", "fp8", *FIT[:5])
    assert cached.code == 0, cached.err
    compute = read(copy / "cache" / "coarse" / "plan.json")["compute"]
    assert compute["precision"] == "fp8" and compute["float8"] == SIMULATED
    assert "100.0% simulated" in cli("cache", "info", "coarse").out
    distilled = cli("distill", "--cache", "coarse", "--name", "half", "--precision", "fp16", *FIT)
    assert distilled.code == 0, distilled.err
    manifest = read(copy / "runs" / "half" / "manifest.json")
    assert manifest["config"]["precision"] == "fp16" and "float8" not in manifest


def test_a_run_in_fp8_says_what_was_simulated(cli: Any, copy: Path, folder: Path) -> None:
    train = ["train-teacher", "--model", "tiny-cnn", "--data", str(folder), "--precision", "fp8", *FIT]
    whole = cli(*train, "--name", "whole", "--epochs", 2, "--json")
    assert whole.code == 0, whole.err
    assert json.loads(whole.out)["float8"] == SIMULATED
    assert read(copy / "runs" / "whole" / "manifest.json")["float8"] == SIMULATED
    weights = load_file(copy / "runs" / "whole" / "model.safetensors")
    assert {each.dtype for each in weights.values() if each.is_floating_point()} == {torch.float32}


@pytest.mark.parametrize("precision", ["fp16", "fp8"])
def test_the_grid_of_int8_excludes_other_formats(cli: Any, copy: Path, precision: str) -> None:
    called = cli("finetune", "--quantize", "int8", "--precision", precision, *FIT)
    assert called.code == 2 and "exclude each other" in called.err
    assert (copy / "runs").is_dir()
