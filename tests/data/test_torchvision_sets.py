import socket
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from edgekd.config import Data
from edgekd.data.sources import open_data
from edgekd.errors import DataError, MissingDependency
from edgekd.images.imageset import ImageData
from edgekd.report import Silent


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*address: object, **options: object) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def opened(name: str, root: Path, canvas: int | None = None) -> ImageData:
    return open_data(Data(data=name, data_dir=root, canvas=canvas, val_fraction=0.25), Silent())


def test_cifar10_is_read_bit_by_bit(cifar10: Path) -> None:
    data = opened("cifar10", cifar10)
    assert (data.name, data.canvas, data.channels, data.classes[3]) == ("cifar10", 32, 3, "class3")
    assert [len(split) for split in (data.everything, data.train, data.val, data.test)] == [40, 30, 10, 40]
    raw = datasets.CIFAR10(str(cifar10), train=True).data
    assert np.array_equal(data.everything.pixels.gather(np.array([7, 3])), raw[[7, 3]])


def test_another_canvas_resizes(cifar10: Path) -> None:
    assert opened("cifar10", cifar10, canvas=48).test.pixels.shape == (40, 48, 48, 3)


def test_fashion_mnist_is_grey(fashion_mnist: Path) -> None:
    data = opened("fashion-mnist", fashion_mnist)
    assert data.everything.pixels.shape == (30, 32, 32, 1)
    assert data.classes[0] == "T-shirt/top"


def test_food101_takes_the_way_of_a_folder(food101: Path) -> None:
    data = opened("food101", food101)
    assert data.classes == ("apple_pie", "pho")
    assert (data.canvas, len(data.everything), len(data.test)) == (48, 8, 4)
    assert data.options["data"] == "food101"
    assert data.listing.paths[0] == "apple_pie/train0.jpg"


def test_half_unpacked_food101_is_told(food101: Path) -> None:
    (food101 / "food-101" / "images" / "pho" / "train1.jpg").unlink()
    with pytest.raises(DataError, match="pho/train1.jpg"):
        opened("food101", food101)


def test_imagenet_has_distinct_class_names(imagenet: Path) -> None:
    data = opened("imagenet", imagenet)
    assert data.classes == ("crane (n01)", "crane (n02)", "tench")
    assert [len(split) for split in (data.everything, data.val, data.test)] == [9, 3, 6]


@pytest.mark.parametrize(
    ("name", "file", "folder"),
    [
        ("cifar10", "cifar-10-python.tar.gz", ""),
        ("cifar100", "cifar-100-python.tar.gz", ""),
        ("fashion-mnist", "images-idx3", "FashionMNIST/raw"),
        ("food101", "food-101.tar.gz", ""),
        ("imagenet", "ILSVRC2012_img_train.tar", "imagenet"),
    ],
)
def test_offline_the_way_by_hand_is_told(tmp_path: Path, offline: None, name: str, file: str, folder: str) -> None:
    with pytest.raises(MissingDependency) as caught:
        opened(name, tmp_path / "sets")
    assert name in caught.value.problem
    assert file in caught.value.hint
    assert f"into {tmp_path / 'sets' / folder}," in caught.value.hint
    assert "--data FOLDER" in caught.value.hint


def test_a_damaged_set_is_not_used(cifar10: Path, offline: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", "0" * 32]])
    with pytest.raises(MissingDependency):
        opened("cifar10", cifar10)


def test_the_wait_for_a_server_is_bounded_only_meanwhile(cifar10: Path) -> None:
    opened("cifar10", cifar10)
    assert socket.getdefaulttimeout() is None
