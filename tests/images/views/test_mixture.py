import hashlib

import numpy as np
import pytest

from edgekd.images.views.counter import random_bits
from edgekd.images.views.mixture import WHOLE, WORDS, Mixture, mix, own_share
from edgekd.images.views.recipe import ViewRecipe

BITS = random_bits(0, 0, np.arange(20_000), WORDS)


def pair(channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16, channels), dtype=np.uint8))


def test_the_whole_weight_is_the_own_image_and_none_the_partner() -> None:
    own, partners = pair()
    how = np.array([[WHOLE, 0, 0, 0, 0], [0, 0, 0, 0, 0], [WHOLE, 0, 16, 0, 16]])
    mixed = mix(own, partners, how)
    assert np.array_equal(mixed[0], own[0])
    assert np.array_equal(mixed[1], partners[1]) and np.array_equal(mixed[2], partners[2])
    assert own_share(how, 16).tolist() == [1, 0, 0]


@pytest.mark.parametrize("channels", [1, 3])
def test_mixup_is_a_rounded_weighted_mean(channels: int) -> None:
    own, partners = pair(channels)
    how = np.array([[64, 0, 0, 0, 0]] * 3)
    exact = own.astype(int) * 64 + partners.astype(int) * 192
    assert np.array_equal(mix(own, partners, how), (exact + 128) // 256)
    assert own_share(how, 16).tolist() == [0.25] * 3


def test_the_share_of_cutmix_is_that_of_the_pixels() -> None:
    own, partners = np.zeros((3, 16, 16, 1), np.uint8), np.ones((3, 16, 16, 1), np.uint8)
    how = Mixture(0.0, 1.0, 1.0).parameters(BITS[:3], 16)
    shown = 1 - mix(own, partners, how).mean(axis=(1, 2, 3))
    assert own_share(how, 16).tolist() == pytest.approx(shown.tolist())


def test_a_batch_with_both_kinds_is_as_each_alone() -> None:
    own, partners = pair()
    how = np.array([[100, 0, 0, 0, 0], [WHOLE, 3, 9, 0, 5], [WHOLE, 0, 0, 0, 0]])
    alone = [mix(own[[i]], partners[[i]], how[[i]])[0] for i in range(3)]
    assert np.array_equal(mix(own, partners, how), np.stack(alone))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_as_many_are_mixed_as_asked_for(share: float) -> None:
    how = Mixture(8.0, 0.0, share).parameters(BITS, 32)
    assert np.mean(how[:, 0] < WHOLE) == pytest.approx(share, abs=0.02)


def test_with_both_each_is_used_half_of_the_time() -> None:
    how = Mixture(8.0, 8.0, 1.0).parameters(BITS, 32)
    is_faded, is_cut = how[:, 0] < WHOLE, how[:, 2] > how[:, 1]
    assert not (is_faded & is_cut).any()
    assert is_faded.mean() == pytest.approx(0.5, abs=0.02) and is_cut.mean() == pytest.approx(0.5, abs=0.02)


def test_boxes_stay_on_the_canvas() -> None:
    _, top, bottom, left, right = Mixture(0.0, 1.0, 1.0).parameters(BITS, 32).T
    assert min(top.min(), left.min()) == 0 and max(bottom.max(), right.max()) == 32
    assert (bottom >= top).all() and (right >= left).all()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"mixup": 0.2}, "fcb0e7a8f134368e"),
        ({"cutmix": 1.0}, "6d8ea542f0a5a2dc"),
        ({"mixup": 0.2, "cutmix": 1.0, "mix_share": 0.5}, "f1f3eb5777ba57a6"),
    ],
)
def test_mixtures_are_the_same_on_every_platform(options: dict[str, float], expected: str) -> None:
    how, _ = ViewRecipe(0.125, True, 5, **options).mixtures(1, np.arange(1000), 16)
    assert hashlib.sha256(how.astype("<i8").tobytes()).hexdigest()[:16] == expected
