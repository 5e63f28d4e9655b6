import hashlib

import numpy as np

from edgekd.images.shape_drawing import CLASSES, draw, targets_of

INDEX = np.arange(300)


def test_pictures_are_the_same_on_every_platform() -> None:
    digest = hashlib.sha256(draw(0, INDEX, 32).tobytes() + draw(1, INDEX[:20], 17).tobytes()).hexdigest()
    assert digest[:16] == "08d5af6e924fc64e"


def test_a_picture_depends_on_its_number_only() -> None:
    together = draw(0, INDEX, 16)
    assert np.array_equal(draw(0, INDEX[::-7], 16), together[::-7])
    assert not np.array_equal(draw(1, INDEX, 16), together)


def test_every_canvas_shows_the_same_scenes() -> None:
    small = draw(0, INDEX[:50], 32).astype(float)
    large = draw(0, INDEX[:50], 64).reshape(50, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    alike = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(small, large, strict=True)]
    assert np.median(alike) > 0.9


def test_classes_take_turns() -> None:
    assert np.bincount(targets_of(INDEX)).tolist() == [30] * len(CLASSES)


def test_colour_brightness_and_contrast_hardly_tell_the_class() -> None:
    index = np.arange(3000)
    pixels = draw(0, index, 16).reshape(3000, -1, 3).astype(float)
    features = np.concatenate([pixels.mean(axis=1), pixels.std(axis=1), np.ones((3000, 1))], axis=1)
    targets = targets_of(index)
    weights = np.linalg.lstsq(features[:2000], np.eye(len(CLASSES))[targets[:2000]], rcond=None)[0]
    guessed = (features[2000:] @ weights).argmax(axis=1)
    assert (guessed == targets[2000:]).mean() < 0.2
