import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from edgekd.cache.leftovers import leftovers, sweep
from edgekd.runs import atomic


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def part(folder: Path, writer: object, name: str = "00000.safetensors") -> Path:
    path = folder / "view-0000" / f".{name}.{writer}.part"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("half")
    return path


def test_files_of_ended_processes_are_swept(tmp_path: Path, dead: int) -> None:
    left = [part(tmp_path, dead), part(tmp_path, f"{platform.node()}-{dead}", "plan.json")]
    assert leftovers(tmp_path) == sorted(left)
    sweep(tmp_path)
    assert not any(path.exists() for path in left)


def test_files_of_living_processes_and_other_machines_stay(tmp_path: Path) -> None:
    alive = [part(tmp_path, os.getppid()), part(tmp_path, f"{platform.node()}-{os.getppid()}")]
    elsewhere = part(tmp_path, "no-such-machine-1")
    sweep(tmp_path)
    assert all(path.exists() for path in [*alive, elsewhere])


def test_another_machine_s_are_swept_after_a_day(tmp_path: Path) -> None:
    path = part(tmp_path, "no-such-machine-1")
    os.utime(path, (0, 0))
    assert leftovers(tmp_path) == [path]


def test_what_atomic_writes_beside_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    with atomic(tmp_path / "file") as beside:
        beside.write_text("half")
        assert leftovers(tmp_path) == [beside]
