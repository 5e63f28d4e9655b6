"""Folders of small images as users have them."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.report import Silent


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("EDGEKD_CACHE", str(folder))
    return folder


@pytest.fixture
def report() -> Silent:
    return Silent()


@pytest.fixture
def write() -> Callable[..., Path]:
    def write(path: Path, number: int = 0, size: tuple[int, int] = (32, 32)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture
def tree(tmp_path: Path, write: Callable[..., Path]) -> Callable[..., Path]:
    """Make FOLDER/split/class/0.png, ... from {"train": {"cat": 4, ...}}."""

    def tree(splits: Mapping[str, Mapping[str, int]], name: str = "pets") -> Path:
        root = tmp_path / name
        for split, classes in splits.items():
            for label, count in classes.items():
                for number in range(count):
                    write(root / split / label / f"{number}.png", number + 100 * len(label) + len(split))
        return root

    return tree


@pytest.fixture
def pets(tree: Callable[..., Path]) -> Path:
    return tree({"train": {"cat": 10, "dog": 10}, "test": {"cat": 2, "dog": 3}})
