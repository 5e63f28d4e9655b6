"""Public data sets of a few images, in the format in which they are downloaded."""

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

DICE = np.random.default_rng(0)


@pytest.fixture
def cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    base = tmp_path / "sets" / "cifar-10-batches-py"
    base.mkdir(parents=True)
    for name in ("data_batch_1", "test_batch"):
        rows = DICE.integers(0, 256, (40, 3072), dtype=np.uint8)
        (base / name).write_bytes(pickle.dumps({"data": rows, "labels": [row % 10 for row in range(40)]}))
    (base / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"class{k}" for k in range(10)]}))
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [["data_batch_1", None]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", None]])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": None})
    return base.parent


@pytest.fixture
def fashion_mnist(tmp_path: Path) -> Path:
    raw = tmp_path / "sets" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train", "t10k"):
        pixels = DICE.integers(0, 256, (30, 28, 28), dtype=np.uint8)
        head = struct.pack(">IIII", 0x0803, 30, 28, 28)
        (raw / f"{name}-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
        labels = bytes(row % 10 for row in range(30))
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x0801, 30) + labels)
    return tmp_path / "sets"


@pytest.fixture
def food101(tmp_path: Path, photo: Callable[[Path], None]) -> Path:
    base = tmp_path / "sets" / "food-101"
    for split, count in (("train", 4), ("test", 2)):
        listed = {food: [f"{food}/{split}{row}" for row in range(count)] for food in ("pho", "apple_pie")}
        (base / "meta").mkdir(parents=True, exist_ok=True)
        (base / "meta" / f"{split}.json").write_text(json.dumps(listed))
        for name in sum(listed.values(), []):
            photo(base / "images" / f"{name}.jpg")
    return tmp_path / "sets"


@pytest.fixture
def imagenet(tmp_path: Path, photo: Callable[[Path], None]) -> Path:
    base = tmp_path / "sets" / "imagenet"
    names = {"n01": ("crane", "bird"), "n02": ("crane", "machine"), "n03": ("tench",)}
    for mark in names:
        for split, count in (("train", 3), ("val", 2)):
            for row in range(count):
                photo(base / split / mark / f"{split}{row}.JPEG")
    torch.save((names, ["n01"]), base / "meta.bin")
    return tmp_path / "sets"


@pytest.fixture
def photo() -> Callable[[Path], None]:
    def photo(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(DICE.integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(path, "JPEG")

    return photo
