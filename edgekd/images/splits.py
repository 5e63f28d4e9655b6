"""How people call the folders of training, validation and test images."""

import re
from collections.abc import Sequence

SPLITS = ("train", "val", "test")

_WORDS = {
    "train": ("train", "training", "trn", "tr", "learn"),
    "val": ("val", "valid", "validate", "validation", "dev", "develop", "development"),
    "test": ("test", "testing", "tst", "eval", "evaluation", "holdout"),
}
_SPLIT_OF = {word: split for split, words in _WORDS.items() for word in words}
_FILLING = frozenset(
    ("set", "sets", "data", "dataset", "split", "image", "images", "imgs", "img", "folder", "samples", "photos")
)
_SHORT = frozenset(("tr", "dev", "learn", "develop", "trn", "tst"))
"""Words that are only taken for a split when they stand alone."""


def split_of(name: str) -> str | None:
    """The split a folder's name means, as `train` for `Training_Set`; None for any other name."""
    split, rest = _take_apart(name)
    return split if not rest else None


def look_like_splits(names: Sequence[str]) -> list[str]:
    """Those names that mean different splits of one thing: `Train` and `Test`, `seg_train` and `seg_test`."""
    groups: dict[tuple[str, ...], dict[str, str]] = {}
    for name in names:
        split, rest = _take_apart(name)
        if split is not None:
            groups.setdefault(rest, {})[name] = split
    return [name for group in groups.values() if len(set(group.values())) > 1 for name in group]


def _take_apart(name: str) -> tuple[str | None, tuple[str, ...]]:
    """The split in a name, and what else is in it, without numbers and words like `set`."""
    words = re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
    lower = [_without_set(word.lower()) for word in words]
    rest = [word for word in lower if word not in _FILLING]
    found = [word for word in rest if word in _SPLIT_OF]
    if len(found) != 1 or (len(rest) > 1 and found[0] in _SHORT):
        return None, tuple(rest)
    rest.remove(found[0])
    return _SPLIT_OF[found[0]], tuple(rest)


def _without_set(word: str) -> str:
    """`train` of `trainset`."""
    bare = word.removesuffix("set").removesuffix("data")
    return bare if bare in _SPLIT_OF else word
