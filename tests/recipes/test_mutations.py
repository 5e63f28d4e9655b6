"""Damaged files and commands that read them: an answer or an error in words, never a traceback, never a hang."""

import contextlib
import os
import random
import shutil
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from edgekd.cache.logit_files import read_logits
from edgekd.cli.app import main
from edgekd.errors import EdgekdError
from edgekd.profiling.judge.baseline import read_baseline
from edgekd.runtimes.sample_inputs import read_sample
from tests.mutations import damage

TEACHER = "custom-student-pictures"
STUDENT = f"tiny-cnn-from-{TEACHER}"
SECONDS = 20
"""None of these takes one; a busy machine may."""
PROFILE = """
title = "Board"
sources = ["a", "b"]
[cpu]
arch = "aarch64"
model = "Cortex"
cores = 4
threads = 4
isa = ["neon"]
[memory]
total_mb = 1024
[match]
board = ["Pi"]
[budget]
max_latency_ms = 100
percentile = 90
batch = 8
"""
CONFIG = """
data = "shapes"
epochs = 3
lr = 0.1
flip = true
decoded_cache = 8
canvas = 32
seed = 1
threads = 2
[distill]
alpha = 0.5
cache = ["one"]
runs = "elsewhere"
"""
BASELINE = """
{"kind": "edgekd-profile", "format": 1,
 "machine": {"title": "a", "cpu": "b", "arch": "c", "cores": 2, "board": null},
 "models": [{"name": "m", "path": "m.onnx", "sha256": "00", "size_bytes": 9, "accuracy": {"images": 2, "top1": 0.5},
  "measurements": [{"batch": 1, "threads": 1, "median_of_windows_ms": 1.5, "memory_mb": {"peak": 20.5}}]}]}
"""

Asked = tuple[str, Sequence[Any]]


class Hang(BaseException):
    """A case took too long."""


@pytest.fixture
def place(workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs and caches to be damaged, and files of every other kind that is read."""
    for part in ("runs", "cache"):
        shutil.copytree(workplace / part, tmp_path / part)
    (tmp_path / "board.toml").write_text(PROFILE)
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "baseline.json").write_text(BASELINE)
    names = np.array([f"disc/{number:03d}.png" for number in range(12)])
    np.savez(tmp_path / "far.npz", logits=np.eye(12, 3, dtype=np.float32), paths=names)
    (tmp_path / "far.csv").write_text("path,a,b\nx.png,0.5,1\ny.png,2,-3\n")
    shutil.copy(workplace / "runs" / f"{STUDENT}-finetuned" / "sample.npz", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextlib.contextmanager
def within(seconds: int) -> Iterator[None]:
    """Raise Hang after so many seconds."""

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def command(*words: str) -> Callable[[], None]:
    """Calls edgekd; its exit code must be one of those that are no bug."""

    def call() -> None:
        code = main(list(words))
        assert code in (0, 2, 3, 4, 5), f"exit code {code}"

    return call


def reader(read: Callable[[Path], object], name: str) -> Callable[[], None]:
    """Calls a reader; its errors must be edgekd's."""

    def call() -> None:
        with contextlib.suppress(EdgekdError):
            read(Path(name))

    return call


RUN, CACHE = f"runs/{STUDENT}", f"cache/{TEACHER}"
LIGHT: dict[str, list[Callable[[], None]]] = {
    f"{RUN}/manifest.json": [command("runs"), command("runs", "show", STUDENT), command("runs", "compare")],
    f"{RUN}/metrics.jsonl": [command("runs", "show", STUDENT)],
    f"{CACHE}/plan.json": [command("cache"), command("cache", "status", TEACHER), command("cache", "info", TEACHER)],
    f"{CACHE}/manifest.json": [command("cache"), command("cache", "status", TEACHER)],
    f"{CACHE}/log.jsonl": [command("cache", "status", TEACHER)],
    f"{CACHE}/parts/00000.jsonl": [command("cache"), command("cache", "info", TEACHER)],
    "board.toml": [command("devices", "show", "board.toml")],
    "config.toml": [
        command("distill", "--config", "config.toml", "--name", "/"),
        command("cache", "--config", "config.toml"),
    ],
    "baseline.json": [reader(read_baseline, "baseline.json")],
    "sample.npz": [reader(read_sample, "sample.npz")],
    "far.npz": [reader(read_logits, "far.npz")],
    "far.csv": [reader(read_logits, "far.csv")],
}
HEAVY: dict[str, list[Callable[[], None]]] = {
    f"{RUN}/manifest.json": [
        command("evaluate", STUDENT),
        command("export", STUDENT, "--samples", "2", "--output", "out.onnx"),
        command("finetune", STUDENT, "--steps", "2", "--name", "again", "--overwrite"),
        command("distill", "--name", STUDENT, "--resume"),
        command("distill", "--config", f"{RUN}/manifest.json", "--steps", "2", "--name", "again", "--overwrite"),
    ],
    f"{RUN}/metrics.jsonl": [command("distill", "--name", STUDENT, "--resume")],
    f"{CACHE}/plan.json": [command("cache", "verify", TEACHER), command("distill", "--steps", "2", "--overwrite")],
    f"{CACHE}/manifest.json": [command("cache-logits", "--teacher", TEACHER)],
    f"{CACHE}/parts/00000.jsonl": [command("cache-logits", "--teacher", TEACHER)],
    f"{CACHE}/log.jsonl": [command("cache-logits", "--teacher", TEACHER)],
    "far.npz": [command("cache-logits", "--import", "far.npz", "--data", "shapes", "--limit", "12")],
}


def try_all(place: Path, table: dict[str, list[Callable[[], None]]], count: int, seed: int) -> list[str]:
    """Damage files in turn, `count` times, and call what reads them; what went wrong, in words."""
    faults, kept = list[str](), {name: (place / name).read_bytes() for name in table}
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        name = chance.choice(sorted(table))
        path = place / name
        how = damage(path, chance)
        call = chance.choice(table[name])
        try:
            with within(SECONDS):
                call()
        except (Exception, Hang, AssertionError):
            last = traceback.format_exc().strip().splitlines()
            faults.append(f"case {seed} {number}: {name}: ...{how}...\n  " + "\n  ".join(last[-7:]))
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif os.path.lexists(path):
            path.unlink()
        path.write_bytes(kept[name])
    return faults


def test_damaged_files_are_told_by_what_reads_small_files(place: Path) -> None:
    faults = try_all(place, LIGHT, 300, seed=1)
    assert not faults, "\n\n".join([f"{len(faults)} faults", *faults[:8]])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_damaged_files_are_told(place: Path, seed: int) -> None:
    faults = try_all(place, LIGHT, 400, seed)
    assert not faults, "\n\n".join([f"{len(faults)} faults", *faults[:8]])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20, 24))
def test_damaged_files_are_told_by_what_trains_and_exports(place: Path, seed: int) -> None:
    faults = try_all(place, HEAVY, 100, seed)
    assert not faults, "\n\n".join([f"{len(faults)} faults", *faults[:8]])
