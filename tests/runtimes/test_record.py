"""The metadata of an export: read when whole, refused in words when changed by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgekd.errors import CheckpointError
from edgekd.runtimes.record import needed_for_images, read_record

WHOLE = {"format": 1, "classes": ["a", "b"], "canvas": 8, "channels": 3, "input_size": 8, "mean": [0, 0, 0.5]} | {
    "std": [1, 1, 0.5],
    "params": 7,
}
FILE = Path("m.onnx")


def test_what_is_missing_or_null_is_not_known() -> None:
    assert read_record(json.dumps(WHOLE | {"top1": None}), FILE) == WHOLE


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[1]", r"it is \[1\], not a table"),
        ('{"classes": "cat"}', "classes is 'cat'"),
        ('{"classes": [1]}', r"classes\[0\] is 1"),
        ('{"std": [0]}', r"std\[0\] is 0, not a number above 0"),
        ('{"input_size": 8.5}', "input_size is 8.5, not a whole number"),
        ('{"top1": 87}', "top1 is 87, not a number from 0 to 1"),
        ('{"format": 2}', "has format 2"),
    ],
)
def test_a_changed_record_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(CheckpointError, match=f"m.onnx: .*{words}"):
        read_record(text, FILE)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (None, "does not say its classes and preprocessing"),
        ({key: value for key, value in WHOLE.items() if key not in ("mean", "std")}, "does not say mean, std"),
        (WHOLE | {"channels": 2}, "2 channels, 3 means and 3 deviations"),
        (WHOLE | {"mean": [0.5]}, "3 channels, 1 means"),
    ],
)
def test_images_need_whole_preprocessing(record: dict[str, Any] | None, words: str) -> None:
    assert needed_for_images(WHOLE, FILE) == WHOLE
    with pytest.raises(CheckpointError, match=words):
        needed_for_images(record, FILE)
