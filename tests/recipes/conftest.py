"""Working folders for tests that change runs and caches, and real processes that are started at once."""

import gc
import json
import multiprocessing
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from edgekd.runs import write_json

Start = Callable[..., ForkServerProcess]
CALL = """
import os, sys
os.dup2(os.open("stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
from edgekd.cli.app import main
sys.exit(main())
"""


@pytest.fixture
def copy(workplace: Path, tmp_path: Path) -> Path:
    """The working folder's runs and caches, to be changed by one test."""
    for part in ("runs", "cache"):
        shutil.copytree(workplace / part, tmp_path / part)
    return tmp_path


@pytest.fixture
def files() -> Callable[[Path], dict[str, bytes]]:
    """Reads all of a cache but its log."""

    def read(folder: Path) -> dict[str, bytes]:
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "log.jsonl"]
        return {str(path.relative_to(folder)): path.read_bytes() for path in paths}

    return read


@pytest.fixture
def flip() -> Callable[..., None]:
    """Inverts one byte of a file."""

    def invert(path: Path, position: int = -1) -> None:
        content = bytearray(path.read_bytes())
        content[position] ^= 255
        path.write_bytes(content)

    return invert


@pytest.fixture
def change_plan() -> Callable[..., None]:
    """Changes fields of a part of a cache's plan."""

    def change(folder: Path, part: str, **changes: object) -> None:
        plan = json.loads((folder / "plan.json").read_text())
        write_json(folder / "plan.json", plan | {part: plan[part] | changes})

    return change


SMALL = ("--views", 2, "--batch-size", 1, "--threads", 1, "--precision", "fp32", "--memory-format", "channels-last")


@pytest.fixture
def four(cli: Any, copy: Path) -> Path:
    """A cache of four shards: two views of 32 and 4 rows."""
    called = cli("cache-logits", "--name", "four", *SMALL, "--quiet")
    assert called.code == 0, called.err
    return copy / "cache" / "four"


@pytest.fixture
def half(four: Path) -> Path:
    """The same, of which two shards were never written."""
    (four / "manifest.json").unlink()
    (four / "view-0000" / "00001.safetensors").unlink()
    (four / "view-0001" / "00000.safetensors").unlink()
    return four


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start `edgekd` with these arguments as a process of its own, in the test's folder; stderr goes to stderr.txt.

    Processes are forked from a server that has loaded everything, so each starts in milliseconds.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["edgekd.cli.console", "edgekd.recipes.cache_logits"])
    started: list[ForkServerProcess] = []

    def call(*arguments: object) -> ForkServerProcess:
        monkeypatch.setattr(sys, "argv", ["edgekd", *map(str, arguments)])
        process = context.Process(target=exec, args=(CALL, {}))
        process.start()
        started.append(process)
        return process

    yield call
    for process in started:
        if process.is_alive():
            process.kill()
        process.join()


PAGE = resource.getpagesize()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a disk with so many free pages of 4 kB at `disk`, or gives it that many."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(pages: int) -> Path:
        is_there = place.is_mount()
        options = ("remount," if is_there else "") + f"size={(pages + 1) * PAGE}"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True)
        if done.returncode:
            pytest.skip("may not mount")
        if not is_there:
            (place / "taken").write_bytes(b"x" * PAGE)
        return place

    yield mount
    gc.collect()  # shards stay mapped until cycles of objects are collected
    if place.is_mount():
        subprocess.run(["umount", place], check=True)
