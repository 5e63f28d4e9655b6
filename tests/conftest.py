"""Fixtures for all tests: small image folders made by code, and the command line called in this process."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekd.cli.app import main

os.environ.pop("COLUMNS", None)  # pytest-xdist sets it for its workers; output to a pipe has no width

CLASSES = ("disc", "frame", "stripes")
SIDE = 16


def draw(kind: str, rng: np.random.Generator) -> np.ndarray:
    """A noisy 16x16 RGB picture of one of three classes that any network can learn."""
    y, x = np.mgrid[:SIDE, :SIDE]
    masks = {
        "disc": (y - 7.5) ** 2 + (x - 7.5) ** 2 < 25,
        "frame": (np.minimum(y, x) < 3) | (np.maximum(y, x) > 12),
        "stripes": y % 4 < 2,
    }
    picture = rng.integers(0, 60, (SIDE, SIDE, 3)) + 150 * masks[kind][..., None]
    return picture.astype(np.uint8)


def make_folder(root: Path, train: int = 12, test: int = 4, seed: int = 0) -> Path:
    """An image folder with `train` and `test` pictures per class."""
    rng = np.random.default_rng(seed)
    for split, count in (("train", train), ("test", test)):
        for kind in CLASSES:
            folder = root / split / kind
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(draw(kind, rng)).save(folder / f"{number:03d}.png")
    return root


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded copies of the tests stay among the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKD_CACHE", str(tmp_path_factory.mktemp("edgekd-cache")))
        yield


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 3 x 12 training and 3 x 4 test pictures; do not change it."""
    return make_folder(tmp_path_factory.mktemp("data") / "pictures")


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """The same, for one test to change."""
    return make_folder(tmp_path / "pictures")


@dataclass(frozen=True)
class Called:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        return json.loads(self.out)


Cli = Callable[..., Called]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """Call `edgekd` with these arguments in an empty working folder; signals are answered as before afterwards."""
    monkeypatch.chdir(tmp_path)
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}

    def call(*arguments: object) -> Called:
        code = main([str(each) for each in arguments])
        captured = capsys.readouterr()
        return Called(code, captured.out, captured.err)

    yield call
    for each, handler in before.items():
        signal.signal(each, handler)


QUICK = ("--threads", 1, "--precision", "fp32", "--memory-format", "channels-last", "--epochs", 1, "--batch-size", 9)
"""Options of a training that ends within a second."""


@pytest.fixture
def quick() -> tuple[object, ...]:
    """Options of a training that ends within a second."""
    return QUICK


CHAIN = ["--threads", "1", "--precision", "fp32", "--memory-format", "channels-last", "--quiet"]


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Path]:
    """A working folder in which the chain has run; do not change what is there."""
    place = tmp_path_factory.mktemp("workplace")
    before = Path.cwd()
    os.chdir(place)
    fit = [*CHAIN, "--epochs", "2", "--batch-size", "9"]
    try:
        for command in (
            ["train-teacher", "--model", "custom-student", "--data", str(folder), "--lr", "0.01", *fit],
            ["cache-logits", "--views", "2", *CHAIN],
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
