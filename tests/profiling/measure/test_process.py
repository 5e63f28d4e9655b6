"""Children for real: they answer, raise, die and are ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgekd.errors import CheckpointError, MissingDependency
from edgekd.profiling.measure.process import Child, environment

WORKER = "edgekd.profiling.measure.timing_process"


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def open_model(child: Child, path: Path) -> None:
    child.ask(path=str(path), sample=None, batch=1, threads=1)


def test_a_child_answers(exported: Path) -> None:
    with Child(WORKER) as child:
        open_model(child, exported)
        assert child.ask(seconds=0.01, runs=5, times=None)["runs"] >= 5


def test_its_errors_arrive_as_they_were_raised(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text("no model")
    with Child(WORKER) as child, pytest.raises(CheckpointError, match="ONNX Runtime .* cannot load it"):
        open_model(child, tmp_path / "model.onnx")


def test_leaving_ends_it() -> None:
    with Child(WORKER) as child:
        assert is_alive(child.pid)
    assert not is_alive(child.pid)


def test_an_interrupted_parent_leaves_none(exported: Path) -> None:
    started: list[Child] = []

    def work() -> None:
        with Child(WORKER) as child:
            started.append(child)
            open_model(child, exported)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert not is_alive(started[0].pid)


def test_an_unknown_instruction_is_explained(exported: Path) -> None:
    with Child(WORKER) as child:
        open_model(child, exported)
        os.kill(child.pid, signal.SIGILL)
        with pytest.raises(MissingDependency) as error:
            child.ask(seconds=0.01, runs=5, times=None)
    assert "1.21" in error.value.hint


def test_a_killed_child_is_explained(exported: Path) -> None:
    with Child(WORKER) as child:
        open_model(child, exported)
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(CheckpointError) as caught:
            child.ask(seconds=0.01, runs=1, times=None)
    assert "memory" in caught.value.hint


def test_a_module_that_fails_is_quoted() -> None:
    with Child("edgekd.profiling.nowhere") as child, pytest.raises(Exception, match="nowhere"):
        child.ask(anything=1)


def test_it_ends_when_its_input_does(exported: Path) -> None:
    child = Child(WORKER)
    open_model(child, exported)
    assert child._process.stdin is not None
    child._process.stdin.close()
    deadline = time.monotonic() + 10
    while child._process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert child._process.poll() == 0
    child.__exit__(None, None, None)


@pytest.mark.parametrize("limit", ["ulimit -n 5", "ulimit -n 8", "ulimit -v 60000"])
def test_too_few_descriptors_or_too_little_memory_is_told(exported: Path, limit: str) -> None:
    command = f"{limit}; exec {sys.executable} -m edgekd profile {exported} --duration 0.01 --warmup 0"
    done = subprocess.run(["bash", "-c", command], env=environment(), capture_output=True, text=True)
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert "error: too many files" in done.stderr or "error: memory ran out" in done.stderr
    assert "  try: " in done.stderr and "ulimit" in done.stderr
