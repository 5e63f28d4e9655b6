import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

OWN_NET = """
import os
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, channels, norm=False):
        super().__init__()
        self.first = nn.Conv2d(channels, 8, 3, 2)
        self.norm = nn.BatchNorm2d(8) if norm else nn.Identity()
        self.last = nn.Linear(8, classes)
        self.calls = 0

    def forward(self, x):
        self.calls += self.training
        if self.training and os.environ.get("RANK") == "1" and self.calls == int(os.environ.get("CALLS_TO_LIVE", "-1")):
            os.kill(os.getpid(), int(os.environ.get("SIGNAL", "9")))
        return self.last(self.norm(self.first(x)).relu().mean((2, 3)))

def plain(classes, channels):
    return Net(classes, channels)

def normed(classes, channels):
    return Net(classes, channels, norm=True)
"""
EXACT = ("--threads", 1, "--precision", "fp32", "--memory-format", "channels-last")
FIT = (*EXACT, "--epochs", 3, "--batch-size", 9, "--optimizer", "sgd", "--lr", 0.05)


@pytest.fixture
def place(cli: Any, tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(OWN_NET)
    return tmp_path


def torchrun(*arguments: object, **environment: object) -> subprocess.CompletedProcess[str]:
    """The command in two processes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    settings = {"OMP_NUM_THREADS": "1"} | {name: str(value) for name, value in environment.items()}
    return subprocess.run(
        [*launcher, "-m", "edgekd", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | settings,
        timeout=300,
    )


def distance(one: str, other: str) -> float:
    first, second = (load_file(Path("runs", name, "model.safetensors")) for name in (one, other))
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the log, which holds times."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "log.jsonl"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_two_processes_train_what_one_does(cli: Any, place: Path, folder: Path) -> None:
    command = ("train-teacher", "--model", "./net.py:plain", "--data", folder, *FIT, "--json")
    alone, both = cli(*command, "--name", "one"), torchrun(*command, "--name", "two", "--accumulate", 2)
    assert alone.code == both.returncode == 0, both.stderr
    assert distance("one", "two") < 1e-5
    mine, theirs = alone.json, json.loads(both.stdout)
    assert mine["test_loss"] == pytest.approx(theirs["test_loss"], abs=1e-5) and mine["steps"] == theirs["steps"]
    assert json.loads((place / "runs/two/manifest.json").read_text())["processes"] == 2


def test_two_processes_write_the_same_cache_and_distil_the_same(cli: Any, place: Path, folder: Path) -> None:
    assert cli("train-teacher", "--model", "./net.py:plain", "--data", folder, *FIT, "--name", "teacher").code == 0
    command = (
        "distill",
        "--trust-code",
        "--teacher",
        "teacher",
        "--student",
        "./net.py:plain",
        "--views",
        2,
        "--mixup",
        0.4,
        *FIT,
    )
    alone = cli(*command, "--name", "one", "--caches", "a")
    both = torchrun(*command, "--name", "two", "--caches", "b")
    assert alone.code == both.returncode == 0, both.stderr
    assert contents(place / "a") == contents(place / "b") and distance("one", "two") < 1e-5


def test_a_process_that_dies_ends_all_with_one_message_and_one_process_goes_on(
    cli: Any, place: Path, folder: Path
) -> None:
    command = ("train-teacher", "--model", "./net.py:plain", "--data", folder, *FIT, "--epochs", 12)
    died = torchrun(*command, "--name", "two", CALLS_TO_LIVE=20)
    assert died.returncode != 0 and died.stderr.count("error:") == 1
    assert "another process of this training has ended" in died.stderr and "--resume" in died.stderr
    assert "edgekd/recipes" not in died.stderr, "a traceback of edgekd's own"
    assert cli(*command, "--name", "two", "--resume").code == cli(*command, "--name", "one").code == 0
    assert distance("one", "two") < 1e-5


@pytest.mark.slow
def test_batch_norm_over_all_processes_is_that_of_one(cli: Any, place: Path, folder: Path) -> None:
    command = ("train-teacher", "--model", "./net.py:normed", "--data", folder, *FIT)
    assert cli(*command, "--name", "one").code == 0
    for name, more in (("shared", ["--sync-bn"]), ("own", [])):
        assert torchrun(*command, "--name", name, *more).returncode == 0
    assert distance("one", "shared") < 1e-5 < distance("one", "own")
    refused = torchrun(*command, "--name", "few", "--sync-bn", "--accumulate", 5)
    assert refused.stderr.count("error:") == 1 and "an image per piece, a process's share is 4" in refused.stderr


@pytest.mark.slow
def test_a_cache_is_filled_by_shares(cli: Any, place: Path, folder: Path) -> None:
    assert cli("train-teacher", "--model", "./net.py:plain", "--data", folder, *FIT, "--name", "teacher").code == 0
    command = ("cache-logits", *EXACT, "--views", 3, "--json")
    alone, both = cli(*command, "--caches", "a"), torchrun(*command, "--caches", "b")
    assert alone.json["teacher_top1"] == json.loads(both.stdout)["teacher_top1"]
    assert contents(place / "a") == contents(place / "b")


@pytest.mark.slow
def test_a_signal_to_one_process_saves_once_and_ends_all(cli: Any, place: Path, folder: Path) -> None:
    command = ("train-teacher", "--model", "./net.py:normed", "--data", folder, *FIT, "--epochs", 12)
    ended = torchrun(*command, "--name", "two", CALLS_TO_LIVE=20, SIGNAL=15)
    assert ended.stderr.count("error:") == 1 and "the state is saved" in ended.stderr
    assert json.loads((place / "runs/two/manifest.json").read_text())["status"] == "interrupted"
    assert torchrun(*command, "--name", "two", "--resume").returncode == 0
    assert torchrun(*command, "--name", "one").returncode == 0
    assert distance("one", "two") < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [
        ("train-teacher", "--lr", "minus"),
        ("train-teacher", "--data", "nowhere"),
        ("train-teacher", "--batch-size", 1, "--model", "tiny-cnn", "--limit", 40),
        ("models",),
    ],
)
def test_what_is_wrong_is_told_once(place: Path, wrong: tuple[object, ...]) -> None:
    ended = torchrun(*wrong)
    assert ended.returncode != 0 and ended.stderr.count("error:") == 1 and ended.stdout == ""


@pytest.mark.slow
def test_processes_that_were_told_different_things_are_told(place: Path, folder: Path) -> None:
    (place / "start.py").write_text(
        "import os, sys\nfrom edgekd.cli.app import main\n"
        "sys.exit(main([*sys.argv[1:], '--seed', os.environ['RANK']]))\n"
    )
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "start.py"]
    command = ["train-teacher", "--model", "./net.py:plain", "--data", str(folder), *map(str, FIT)]
    ended = subprocess.run([*launcher, *command], capture_output=True, text=True, timeout=300)
    assert "process 1 of 2 has another seed" in ended.stderr and ended.stderr.count("error:") == 1
