import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from edgekd.runs import file_sum

OWN_NET = """
from torch import nn

def build(classes, channels, input_size):
    features = nn.Sequential(nn.Conv2d(channels, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(features, nn.Linear(8, classes))
"""


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    cli: Any, folder: Path, quick: Any, tmp_path: Path
) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        options = ("--model", "custom-student", "--data", folder, "--seed", seed, "--name", name)
        assert cli("train-teacher", *options, *quick).code == 0
    a, b, c = ((tmp_path / "runs" / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b != c


def test_an_own_network_goes_through(cli: Any, folder: Path, quick: Any, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(OWN_NET)
    called = cli("train-teacher", "--model", "./net.py:build", "--data", folder, *quick, "--json")
    assert called.code == 0, called.err
    assert called.json["params"] == 8 * 27 + 8 + 8 * 3 + 3
    assert cli("evaluate", Path(called.json["run"]).name).code == 0


def test_a_vit_is_cut_into_small_patches(cli: Any, folder: Path, quick: Any, tmp_path: Path) -> None:
    called = cli("train-teacher", "--model", "vit_tiny", "--data", folder, *quick, "--steps", 1, "--json")
    assert called.code == 0, called.err
    model = json.loads((tmp_path / called.json["run"] / "manifest.json").read_text())["model"]
    assert model["input_size"] == 32 and model["options"]["patch_size"] == 4


def test_a_time_limit_becomes_a_stored_number_of_steps(cli: Any, folder: Path, quick: Any, tmp_path: Path) -> None:
    options = ("--model", "tiny-cnn", "--data", folder, "--epochs", 10_000, "--time-limit", "1s")
    called = cli("train-teacher", *options, *quick[:6], "--batch-size", 9, "--json")
    assert called.code == 0, called.err
    config = json.loads((tmp_path / called.json["run"] / "manifest.json").read_text())["config"]
    assert config["steps"] == called.json["steps"] < 30_000


def test_training_goes_on_from_given_weights(cli: Any, folder: Path, quick: Any, tmp_path: Path) -> None:
    options = ("train-teacher", "--model", "custom-student", "--data", folder, *quick)
    assert cli(*options, "--name", "first").code == 0
    weights = tmp_path / "runs" / "first" / "model.safetensors"
    assert cli(*options, "--name", "second", "--weights", weights, "--lr", 0).code == 0
    first, second = (load_file(tmp_path / "runs" / name / "model.safetensors") for name in ("first", "second"))
    assert all(first[name].equal(second[name]) for name in first)


def test_patience_ends_a_training_that_learns_nothing(cli: Any, folder: Path, quick: Any) -> None:
    options = ("--model", "custom-student", "--data", folder, *quick, "--epochs", 50, "--lr", 0, "--patience", 2)
    assert cli("train-teacher", *options, "--json").json["steps"] == 3 * 3


@pytest.mark.parametrize(
    "options",
    [("--ema", 0.9), ("--clip", 0.1), ("--label-smoothing", 0.2), ("--optimizer", "sgd"), ("--progressive", 0.5)],
)
def test_options_of_training_work(cli: Any, folder: Path, quick: Any, options: tuple[object, ...]) -> None:
    called = cli("train-teacher", "--model", "tiny-cnn", "--data", folder, *quick, *options)
    assert called.code == 0, called.err


def test_growing_images_need_a_network_that_takes_them(cli: Any, folder: Path, quick: Any, tmp_path: Path) -> None:
    called = cli("train-teacher", "--model", "vit_tiny", "--data", folder, *quick, "--progressive", 0.5)
    assert called.code == 2 and "--progressive 1" in called.err
    assert not list((tmp_path / "runs").glob("*/manifest.json"))


PREFIXED = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.model = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Conv2d(3, classes, 2), nn.Flatten())

    def forward(self, x):
        return self.model(x)
"""


def test_names_of_an_own_network_are_kept_and_its_end_need_not_be_linear(
    cli: Any, folder: Path, quick: Any, tmp_path: Path
) -> None:
    (tmp_path / "net.py").write_text(PREFIXED)
    called = cli("train-teacher", "--model", "./net.py:Net", "--data", folder, *quick, "--json")
    assert called.code == 0, called.err
    assert all(name.startswith("model.") for name in load_file(tmp_path / called.json["run"] / "model.safetensors"))


@pytest.mark.parametrize("name", [".", "..", "a/b", ".hidden"])
def test_a_name_is_one_folder(cli: Any, folder: Path, quick: Any, name: str) -> None:
    options = ("--model", "tiny-cnn", "--data", folder, *quick, "--name", name, "--overwrite")
    assert cli("train-teacher", *options).code == 2


def test_a_folder_that_is_no_run_is_left_alone(cli: Any, folder: Path, quick: Any, tmp_path: Path) -> None:
    (tmp_path / "runs" / "photos").mkdir(parents=True)
    (tmp_path / "runs" / "photos" / "holiday.jpg").write_text("")
    for how in ("--overwrite", "--resume"):
        options = ("--model", "tiny-cnn", "--data", folder, *quick, "--name", "photos", how)
        assert cli("train-teacher", *options).code == 2
    assert (tmp_path / "runs" / "photos" / "holiday.jpg").is_file()


def test_a_diverged_training_ends_in_words(cli: Any, folder: Path, quick: Any) -> None:
    options = ("--model", "custom-student", "--data", folder, *quick, "--optimizer", "sgd", "--lr", 1e8)
    called = cli("train-teacher", *options)
    assert called.code == 3 and "diverged" in called.err


TIED = """
from torch import nn

def build(classes, channels):
    same = nn.Conv2d(8, 8, 3, padding=1)
    pool = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(nn.Conv2d(channels, 8, 3, 2), nn.ReLU(), same, same, pool, nn.Flatten(), nn.Linear(8, classes))
"""


def test_a_layer_may_be_used_twice_and_everyone_may_read_the_weights(
    cli: Any, folder: Path, quick: Any, tmp_path: Path
) -> None:
    (tmp_path / "net.py").write_text(TIED)
    called = cli("train-teacher", "--model", "./net.py:build", "--data", folder, *quick, "--json")
    assert called.code == 0, called.err
    assert cli("evaluate", Path(called.json["run"]).name, "--json").json["top1"] == called.json["test_top1"]
    weights, metrics = (tmp_path / called.json["run"] / name for name in ("model.safetensors", "metrics.jsonl"))
    assert weights.stat().st_mode == metrics.stat().st_mode


def test_interrupted_in_the_closing_evaluation_and_finished_by_resume(
    cli: Any, folder: Path, quick: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt(15)

    options = ("train-teacher", "--model", "tiny-cnn", "--data", folder, *quick, "--name", "late")
    with monkeypatch.context() as patch:
        patch.setattr("edgekd.training.session.judge_together", interrupted)
        called = cli(*options)
    manifest = json.loads((tmp_path / "runs" / "late" / "manifest.json").read_text())
    assert called.code == 143 and "what was saved before" in called.err and manifest["status"] == "interrupted"
    assert cli(*options, "--resume").code == 0
    called = cli(*options, "--resume")
    assert called.code == 0 and "finished before" in called.err


def test_cuda_without_a_device_is_told(cli: Any, folder: Path, quick: Any) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    called = cli("train-teacher", "--model", "tiny-cnn", "--data", folder, *quick, "--torch-device", "cuda")
    assert called.code == 4 and "CUDA" in called.err


def test_given_weights_are_known_by_their_content(cli: Any, folder: Path, quick: Any, tmp_path: Path) -> None:
    options = ("train-teacher", "--model", "custom-student", "--data", folder, *quick, "--json")
    first = cli(*options, "--name", "first").json
    weights = tmp_path / first["run"] / "model.safetensors"
    parents = cli(*options, "--name", "second", "--weights", weights).json["parents"]
    assert parents == {"weights": {"file": str(weights), "sha256": file_sum(weights)}}


def test_a_dry_run_is_one_process(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": 0, "WORLD_SIZE": 2, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    called = cli("distill", "--dry-run")
    assert called.code == 2 and "distill --dry-run: runs in one process" in called.err


PICKY = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, 8, 3, 2)
        self.last = nn.Linear(8, classes)

    def forward(self, x):
        if x.shape[-1] % 16:
            raise RuntimeError("sides are multiples of 16")
        return self.last(self.first(x).relu().mean((2, 3)))
"""


def test_a_size_on_the_way_that_a_network_does_not_take_is_told_first(
    cli: Any, folder: Path, quick: Any, tmp_path: Path
) -> None:
    (tmp_path / "net.py").write_text(PICKY)
    called = cli("train-teacher", "--model", "./net.py:Net", "--data", folder, *quick, "--progressive", 0.5)
    assert called.code == 2 and "does not take images of 24 pixels" in called.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--batch-size", 1), "does not learn from one image at a time"),
        (("--batch-size", 9, "--accumulate", 5), "does not learn from one image at a time"),
        (("--batch-size", 9, "--accumulate", 9, "--progressive", 0.5), "does not learn from one image at a time"),
    ],
)
def test_too_few_images_for_batch_norm_are_told(
    cli: Any, folder: Path, quick: Any, tmp_path: Path, options: tuple[object, ...], words: str
) -> None:
    called = cli("train-teacher", "--model", "rescnn-4", "--data", folder, *quick[:-2], *options)
    assert called.code == 2 and words in called.err
    assert not (tmp_path / "runs").exists()
