from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekd.config import Data
from edgekd.images.imageset import ImageData
from edgekd.images.renumbering import renumber
from edgekd.images.sources import open_images
from edgekd.report import Silent


@pytest.fixture
def data(pets: Path) -> ImageData:
    return open_images(Data(data=str(pets)), Silent())


IDS = np.concatenate([np.arange(0, 10), np.arange(15, 20), np.arange(10, 15)])


def test_everything_comes_in_the_order_of_the_numbers(data: ImageData) -> None:
    everything = renumber(data, IDS).everything
    assert everything.ids.tolist() == list(range(20))
    assert np.array_equal(IDS[everything.index], np.arange(20))
    assert np.array_equal(everything.targets, data.everything.targets[everything.index])


def test_splits_keep_their_images_under_new_numbers(data: ImageData) -> None:
    found = renumber(data, IDS)
    for before, after in ((data.train, found.train), (data.val, found.val)):
        assert np.array_equal(before.index, after.index) and np.array_equal(before.targets, after.targets)
        assert np.array_equal(after.ids, IDS[before.index])
    assert found.test is data.test


def test_the_same_numbers_change_nothing(data: ImageData) -> None:
    assert renumber(data, np.arange(20)) is data


def test_parts_begin_at_their_first_number(data: ImageData) -> None:
    roster = renumber(data, IDS, [0, 15]).everything.roster
    assert roster.parts is not None and np.array_equal(roster.parts, IDS >= 15)
    assert len(roster.digests()) == 2


def test_a_folders_own_validation_is_not_numbered(tree: Callable[..., Path]) -> None:
    root = tree({split: {"cat": 4, "dog": 4} for split in ("train", "val", "test")})
    found = renumber(open_images(Data(data=str(root)), Silent()), np.arange(8)[::-1].copy())
    assert found.val.ids.tolist() == list(range(8)) and found.train.ids.tolist() == list(range(8))[::-1]
    assert found.everything.roster.is_training.all()


def test_the_roster_knows_which_images_train(data: ImageData) -> None:
    roster = data.everything.roster
    assert roster is data.train.roster is data.val.roster and data.test.roster is None
    assert np.array_equal(np.flatnonzero(~roster.is_training), data.val.index)
