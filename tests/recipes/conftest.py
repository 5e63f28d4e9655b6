"""A teacher run, its cache, a student and its export, made once by the real commands."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekd.cli.app import main

QUICK = ["--threads", "1", "--precision", "fp32", "--memory-format", "channels-last", "--quiet"]


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Path]:
    """A working folder in which the chain has run; do not change what is there."""
    place = tmp_path_factory.mktemp("workplace")
    before = Path.cwd()
    os.chdir(place)
    fit = [*QUICK, "--epochs", "2", "--batch-size", "9"]
    try:
        for command in (
            ["train-teacher", "--model", "custom-student", "--data", str(folder), "--lr", "0.01", *fit],
            ["cache-logits", "--views", "2", *QUICK],
            ["distill", *fit],
            ["finetune", *fit],
            ["export", "--quiet"],
        ):
            assert main(command) == 0, command
        yield place
    finally:
        os.chdir(before)


@pytest.fixture
def at_work(workplace: Path, monkeypatch: pytest.MonkeyPatch, cli: object) -> Path:
    """Be in the working folder (after `cli`, which would go elsewhere)."""
    monkeypatch.chdir(workplace)
    return workplace
