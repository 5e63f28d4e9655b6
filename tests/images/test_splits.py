import pytest

from edgekd.images.splits import look_like_splits, split_of


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"), ("Training", "train"), ("TRAIN", "train"), ("trainset", "train"), ("train_images", "train"),
        ("train2017", "train"), ("TrainData", "train"), ("val", "val"), ("valid", "val"), ("Validation", "val"),
        ("dev", "val"), ("Test", "test"), ("testing", "test"), ("test-set", "test"), ("cat", None), ("trains", None),
        ("train_station", None), ("test tube", None), ("valley", None), ("attraining", None), ("", None),
    ],
)  # fmt: skip
def test_names_of_splits(name: str, split: str | None) -> None:
    assert split_of(name) == split


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["Train", "Test"], ["Train", "Test"]),
        (["seg_train", "seg_test", "seg_pred"], ["seg_train", "seg_test"]),
        (["petsTrain", "petsVal"], ["petsTrain", "petsVal"]),
        (["train_station", "test_tube"], []),
        (["bus", "car", "train"], []),
        (["cat", "dog"], []),
    ],
)
def test_names_that_split_one_thing(names: list[str], found: list[str]) -> None:
    assert look_like_splits(names) == found
