from pathlib import Path

import numpy as np
import pytest

from edgekd.config import Data
from edgekd.errors import DataError
from edgekd.images import shapes
from edgekd.images.sources import open_images
from edgekd.report import Silent


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "_COUNTS", {"train": 400, "test": 100})


def test_ten_even_classes() -> None:
    data = open_images(Data(), Silent())
    assert (data.name, len(data.classes), data.canvas, data.channels) == ("shapes", 10, 32, 3)
    assert len(data.val) + len(data.train) == 400 and 35 <= len(data.val) <= 45
    assert np.bincount(data.test.targets).tolist() == [10] * 10


def test_the_second_start_draws_nothing(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_images(Data(), Silent())
    monkeypatch.setattr("edgekd.images.shape_drawing.draw", None)
    again = open_images(Data(), Silent())
    assert again.fingerprint == first.fingerprint
    rows = np.arange(400)
    assert np.array_equal(again.everything.pixels.gather(rows), first.everything.pixels.gather(rows))


def test_a_torn_copy_is_drawn_again(cache_folder: Path) -> None:
    first = open_images(Data(), Silent())
    [path] = cache_folder.rglob("canvases.npy")
    path.write_bytes(path.read_bytes()[:1000])
    again = open_images(Data(), Silent())
    assert np.array_equal(again.test.pixels.gather(np.arange(9)), first.test.pixels.gather(np.arange(9)))


def test_a_limit_draws_the_same_images(cache_folder: Path) -> None:
    whole = open_images(Data(), Silent())
    some = open_images(Data(limit=30), Silent())
    row = whole.listing.paths.index(some.listing.paths[7])
    assert np.array_equal(some.train.pixels.gather(np.array([7])), whole.train.pixels.gather(np.array([row])))
    assert len(some.everything) == 30


def test_grey_shapes_have_one_channel() -> None:
    assert open_images(Data(channels="1", canvas=16), Silent()).everything.pixels.shape == (400, 16, 16, 1)


def test_without_room_the_size_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "fits_memory", lambda size: False)
    with pytest.raises(DataError, match="shapes at canvas 32"):
        open_images(Data(decoded_cache=0), Silent())
