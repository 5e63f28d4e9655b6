"""The weights of a run are those its manifest names, wherever they are read."""

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekd.runs import Run

TEACHER, STUDENT = "custom-student-pictures", "tiny-cnn-from-custom-student-pictures"
READING = [
    ("evaluate", STUDENT),
    ("export", STUDENT),
    ("finetune", STUDENT, "--name", "x"),
    ("predict", STUDENT, "DATA"),
    ("cache-logits", "--teacher", TEACHER),
    ("distill", "--teacher", TEACHER, "--live", "--name", "x"),
    ("distill", "--teacher", TEACHER, "--name", "x"),
]


@pytest.mark.parametrize("command", READING, ids=lambda command: command[0])
def test_changed_weights_are_refused(
    cli: Any, copy: Path, folder: Path, flip: Callable[..., None], command: tuple[str, ...]
) -> None:
    for name in (TEACHER, STUDENT):
        flip(Run(copy / "runs" / name).weights)
    called = cli(*[str(folder) if each == "DATA" else each for each in command], "--quiet")
    assert called.code == 3 and "not the weights that this run ended with" in called.err, called.err
    assert not (copy / "runs" / "x").exists()


def test_a_manifest_without_the_hash_is_refused(cli: Any, copy: Path) -> None:
    Run(copy / "runs" / STUDENT).update(weights_sha256=None)
    assert cli("evaluate", STUDENT).code == 3


def test_resume_sweeps_what_dead_processes_left(cli: Any, copy: Path) -> None:
    run = Run(copy / "runs" / STUDENT)
    dead = 2**22 + 1  # above the largest number of a process
    stale = [run.path / f".model.safetensors.{platform.node()}-{dead}.part"]
    stale.append(run.path / "last" / f".state.pt.{platform.node()}-{dead}.part")
    living = run.path / f".model.onnx.{platform.node()}-{os.getppid()}.part"
    for path in (*stale, living):
        path.write_bytes(b"half")
    assert cli("distill", "--name", STUDENT, "--resume", "--quiet").code == 0
    assert [path.exists() for path in (*stale, living)] == [False, False, True]
