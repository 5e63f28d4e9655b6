from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekd.config import Data
from edgekd.images.imageset import ImageData
from edgekd.images.sources import open_images
from edgekd.report import Silent


def opened(root: Path, report: Silent, **options: Any) -> ImageData:  # noqa: ANN401
    return open_images(Data(data=str(root), **options), report)


@pytest.fixture
def sensor(tmp_path: Path) -> Callable[[int], Path]:
    """Grey images of a sensor of so many bits in 16-bit files, its largest value among them."""

    def sensor(bits: int) -> Path:
        root = tmp_path / f"{bits}"
        for split, label, number in ((s, c, n) for s in ("train", "test") for c in ("a", "b") for n in range(4)):
            pixels = np.random.default_rng(number).integers(0, 2**bits, (32, 32)).astype(np.uint16)
            pixels[0, 0] = 2**bits - 1
            path = root / split / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
        return root

    return sensor


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_narrow_data_in_wide_files_is_told_and_scaled(sensor: Callable[[int], Path], bits: int) -> None:
    report = Silent()
    data = opened(sensor(bits), report)
    assert f"taken as {bits}-bit data" in report.notes[0]
    assert data.options["grey_bits"] == str(bits)
    assert data.test.pixels.gather(data.test.index).max() == 255
    kept = opened(sensor(bits), report, grey_bits="16")
    assert kept.test.pixels.gather(kept.test.index).max() == round((2**bits - 1) * 255 / 65535)
    assert kept.fingerprint != data.fingerprint


def test_the_whole_range_is_nothing_to_tell(sensor: Callable[[int], Path]) -> None:
    report = Silent()
    assert opened(sensor(16), report).options["grey_bits"] == "16"
    assert report.notes == []


def test_nearly_black_images_are_told(pets: Path) -> None:
    for path in pets.rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(path)) // 16).save(path)
    report = Silent()
    opened(pets, report)
    assert "nearly black (largest value 15 of 255)" in report.warnings[0]


def test_what_the_canvas_is_and_why(tree: Callable[..., Path], write: Callable[..., Path]) -> None:
    root = tree({"train": {"cat": 4, "dog": 4}, "test": {"cat": 1, "dog": 1}})
    for path in root.rglob("*.png"):
        write(path, 1, (120, 90))
    report = Silent()
    assert opened(root, report).canvas == 64
    assert report.notes[0].startswith("canvas 64: the short side of the images is about 90 pixels")
    assert "25% of each is cut away; --aspect pad" in report.notes[1]
    report = Silent()
    padded = opened(root, report, aspect="pad")
    assert len(report.notes) == 1
    assert (padded.test.pixels.gather(padded.test.index)[:, :8] == 128).all()
    assert padded.options["aspect"] == "pad"
