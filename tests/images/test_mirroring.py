"""Whether mirroring keeps a class, seen from training images alone."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from edgekd.images.imageset import Split
from edgekd.images.mirroring import PER_CLASS, probe
from edgekd.images.pixels import Array

REAL = Path(os.environ.get("EDGEKD_DATA") or "~/.cache/edgekd-data").expanduser()
"""Where data sets may lie that are too large for the repository."""


def sign(kind: str, rng: np.random.Generator, side: int) -> np.ndarray:
    """A light outline on noise, somewhere near the middle; `left` and `right` are mirror images of each other."""
    image = Image.fromarray(rng.integers(0, 90, (side, side, 3), dtype=np.uint8))
    pen, colour, width = ImageDraw.Draw(image), (230, 230, 40), max(1, side // 10)
    x, y = (side / 2 + rng.integers(-side // 10, side // 10 + 1, 2)).tolist()
    reach = side * 0.3
    if kind in ("left", "right"):
        tip = x + (-reach if kind == "left" else reach)
        pen.line((2 * x - tip, y, tip, y), colour, width)
        for slope in (-1, 1):
            pen.line((tip, y, (tip + x) / 2, y + slope * reach / 2), colour, width)
    elif kind == "ring":
        pen.ellipse((x - reach, y - reach, x + reach, y + reach), outline=colour, width=width)
    elif kind == "cross":
        pen.line((x - reach, y - reach, x + reach, y + reach), colour, width)
        pen.line((x + reach, y - reach, x - reach, y + reach), colour, width)
    else:
        pen.rectangle((x - reach, y - reach, x + reach, y + reach), outline=colour, width=width)
    return np.asarray(image)


def signs(kinds: tuple[str, ...], each: int, side: int = 32) -> Split:
    rng = np.random.default_rng(0)
    pixels = np.stack([sign(kind, rng, side) for kind in kinds for _ in range(each)])
    return Split(Array(pixels), np.arange(len(pixels)), np.repeat(np.arange(len(kinds)), each))


@pytest.mark.parametrize(("each", "side"), [(20, 32), (60, 32), (40, 20), (40, 75)])
def test_classes_that_are_mirror_images_of_each_other_are_found(each: int, side: int) -> None:
    found = probe(signs(("ring", "left", "cross", "right"), each, side))
    assert {(pair.before, pair.after) for pair in found.moved} == {(1, 3), (3, 1)}
    assert not found.keeps and found.plain > 0.9 and found.mirrored < 0.7


@pytest.mark.parametrize("each", [8, 60])
def test_symmetric_classes_are_kept(each: int) -> None:
    found = probe(signs(("ring", "cross", "square"), each))
    assert found.keeps and found.images == 3 * each
    assert found.mirrored == pytest.approx(found.plain, abs=0.1)


def test_grey_images_do_as_well() -> None:
    split = signs(("left", "right"), 30)
    assert not probe(Split(Array(split.pixels.gather(split.index)[..., :1]), split.index, split.targets)).keeps


def test_unlabelled_images_are_not_asked() -> None:
    split = signs(("left", "right"), 30)
    targets = np.where(np.arange(60) % 2, split.targets, -1)
    assert probe(Split(split.pixels, split.index, targets)).images == 30


def test_the_same_images_give_the_same_finding() -> None:
    split = signs(("left", "ring", "right"), PER_CLASS + 30)
    assert probe(split) == probe(split) and probe(split).images == 3 * PER_CLASS


@pytest.mark.parametrize("labels", [(), (0,), (0, 1), (-1, -1, -1)])
def test_too_few_images_show_nothing(labels: tuple[int, ...]) -> None:
    pixels = np.zeros((max(1, len(labels)), 16, 16, 3), np.uint8)
    found = probe(Split(Array(pixels), np.arange(len(labels)), np.array(labels, np.int64)))
    assert found.keeps and found.plain == 0


def test_noise_is_kept() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (400, 24, 24, 3), dtype=np.uint8)
    assert probe(Split(Array(pixels), np.arange(400), np.arange(400) % 5)).keeps


@pytest.mark.parametrize("name", ["cifar10", "intel", "trashnet"])
def test_photographs_are_kept(name: str) -> None:
    folder = REAL / name / "train"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    pixels, targets = [], []
    for target, kind in enumerate(sorted(folder.iterdir())):
        paths = sorted(kind.iterdir())
        for path in paths[:: max(1, len(paths) // 60)][:60]:
            with Image.open(path) as image:
                image.draft("RGB", (48, 48))
                pixels.append(np.asarray(image.convert("RGB").resize((48, 48))))
            targets.append(target)
    assert probe(Split(Array(np.stack(pixels)), np.arange(len(targets)), np.array(targets))).keeps
