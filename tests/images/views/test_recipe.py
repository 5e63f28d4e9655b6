import hashlib
from typing import Any

import numpy as np
import pytest

from edgekd.images.views.geometry import render
from edgekd.images.views.recipe import ViewRecipe

INDEX = np.arange(100)


RECIPES: dict[str, dict[str, Any]] = {
    "shift": {},
    "zoom": {"crop": 0.0, "resized_crop": 0.35},
    "randaugment": {"randaugment": 3, "magnitude": 7},
    "erase": {"erase": 0.5},
    "all": {"crop": 0.0, "resized_crop": 0.2, "randaugment": 2, "erase": 0.3},
}


def recipe_of(name: str, seed: int = 5) -> ViewRecipe:
    return ViewRecipe(**({"crop": 0.125, "flip": True, "seed": seed} | RECIPES[name]))


def pattern(count: int, side: int, channels: int) -> np.ndarray:
    """Pixels without a random generator, which may change with its library."""
    number = np.arange(count * side * side * channels, dtype=np.uint64)
    mixed = (number * number * np.uint64(2654435761) >> np.uint64(13)) % np.uint64(251)
    return mixed.astype(np.uint8).reshape(count, side, side, channels)


def digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]


def canvases(count: int, side: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def test_no_shift_and_no_flip_leave_the_canvas() -> None:
    images = canvases(5, 8)
    assert np.array_equal(render(images, np.zeros((5, 3), np.int64)), images)


def test_a_shift_mirrors_at_the_edge() -> None:
    row = np.arange(4, dtype=np.uint8)
    image = np.broadcast_to(row[None, None, :, None], (1, 4, 4, 1))
    right = render(image, np.array([[0, 2, 0]]))
    left = render(image, np.array([[0, -1, 0]]))
    assert right[0, 0, :, 0].tolist() == [2, 1, 0, 1]
    assert left[0, 0, :, 0].tolist() == [1, 2, 3, 2]


def test_the_flip_comes_after_the_shift() -> None:
    row = np.arange(4, dtype=np.uint8)
    image = np.broadcast_to(row[None, None, :, None], (1, 4, 4, 1))
    assert render(image, np.array([[0, 1, 1]]))[0, 0, :, 0].tolist() == [2, 1, 0, 1]


@pytest.mark.parametrize("channels", [1, 3])
def test_rendering_agrees_with_numpy_pad(channels: int) -> None:
    images = canvases(20, 16, channels)
    recipe = ViewRecipe(crop=0.25, flip=True, seed=3)
    chosen = recipe.parameters(2, INDEX[:20], 16)
    for image, view, (down, right, flip) in zip(images, render(images, chosen), chosen.tolist(), strict=True):
        padded = np.pad(image, ((4, 4), (4, 4), (0, 0)), mode="reflect")
        expected = padded[4 - down : 20 - down, 4 - right : 20 - right]
        assert np.array_equal(view, expected[:, ::-1] if flip else expected)


def test_parameters_do_not_depend_on_the_batch() -> None:
    recipe = ViewRecipe(crop=0.125, flip=True, seed=0)
    together = recipe.parameters(4, INDEX, 32)
    assert np.array_equal(recipe.parameters(4, INDEX[37:38], 32), together[37:38])
    assert not np.array_equal(recipe.parameters(5, INDEX, 32), together)


def test_parameters_stay_within_the_crop_and_reach_its_ends() -> None:
    chosen = ViewRecipe(crop=0.125, flip=True, seed=0).parameters(0, np.arange(2000), 32)
    assert chosen[:, :2].min() == -4
    assert chosen[:, :2].max() == 4
    assert set(chosen[:, 2].tolist()) == {0, 1}


def test_flips_alternate_from_a_first_view_that_is_drawn() -> None:
    flips = [ViewRecipe(crop=0.1, flip=True, seed=1).parameters(view, np.arange(2000), 32)[:, 2] for view in range(4)]
    assert abs(flips[0].mean() - 0.5) < 0.06
    assert np.array_equal(flips[1], 1 - flips[0]) and np.array_equal(flips[2], flips[0])
    assert np.array_equal(flips[3], flips[1])


def test_switched_off_means_the_plain_canvas() -> None:
    assert not ViewRecipe(crop=0.0, flip=False, seed=9).parameters(1, INDEX, 32).any()


def test_the_largest_crop_works_on_the_smallest_canvas() -> None:
    images = canvases(100, 8)
    assert render(images, ViewRecipe(0.5, True, 0).parameters(0, INDEX, 8)).shape == images.shape


def test_views_are_the_same_on_every_platform() -> None:
    assert ViewRecipe(0.125, True, 5).parameters(1, INDEX[:4], 32).tolist() == [
        [2, -2, 1],
        [-3, 3, 0],
        [-2, -3, 1],
        [2, -4, 1],
    ]


def test_a_recipe_describes_all_its_pixels_depend_on() -> None:
    assert ViewRecipe(0.1, True, 2).describe() == {"version": 2, "crop": 0.1, "flip": True, "seed": 2}


@pytest.mark.parametrize(
    ("name", "colour", "grey"),
    [
        ("shift", "4c8da6af2260bfe0", "a587b9a05e5328d5"),
        ("zoom", "222c3d441c80adf8", "f2beb05cac35fe4c"),
        ("randaugment", "50dfbee80d44b990", "9541d9fbef919c6b"),
        ("erase", "8b9a6e1e3b3f664a", "489eb6f3aa9ad82e"),
    ],
)
def test_pixels_are_the_same_on_every_platform(name: str, colour: str, grey: str) -> None:
    index = np.arange(64)
    found = [digest(recipe_of(name).vary(pattern(64, 16, channels), 1, index)) for channels in (3, 1)]
    assert found == [colour, grey]


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_do_not_depend_on_the_batch(name: str, channels: int) -> None:
    images, recipe, index = canvases(28, 12, channels), recipe_of(name), np.arange(1000, 1028)
    together = recipe.vary(images, 3, index)
    for size in (1, 7):
        parts = [recipe.vary(images[i : i + size], 3, index[i : i + size]) for i in range(0, 28, size)]
        assert np.array_equal(np.concatenate(parts), together)
    order = np.random.default_rng(1).permutation(28)
    assert np.array_equal(recipe.vary(images[order], 3, index[order]), together[order])


@pytest.mark.parametrize("name", RECIPES)
def test_a_canvas_is_left_as_it_was(name: str) -> None:
    images = canvases(20, 16)
    before = images.copy()
    assert not np.array_equal(recipe_of(name).vary(images, 1, INDEX[:20]), before)
    assert np.array_equal(images, before)


@pytest.mark.parametrize("name", RECIPES)
def test_views_and_seeds_differ(name: str) -> None:
    images, index = canvases(20, 16), INDEX[:20]
    made = [recipe_of(name, seed).vary(images, view, index) for seed in (0, 1) for view in (0, 1)]
    assert len({digest(each) for each in made}) == 4


def test_the_plain_view_is_the_canvas_and_only_the_first() -> None:
    recipe, images = ViewRecipe(0.125, True, 0, mixup=1.0, plain_view=True), canvases(20, 16)
    assert np.array_equal(recipe.vary(images, 0, INDEX[:20]), images)
    assert not np.array_equal(recipe.vary(images, 1, INDEX[:20]), images)
    assert recipe.is_mixed(1) and not recipe.is_mixed(0)


def test_boxes_keep_their_least_area_their_aspect_and_the_canvas() -> None:
    one = 1 << 16
    top, left, height, width = ViewRecipe(0.0, True, 1, resized_crop=0.35).boxes(0, np.arange(4000), 32).T
    assert min(top.min(), left.min()) >= 0 and max((top + height).max(), (left + width).max()) <= 32 * one
    share = (height / one) * (width / one) / 32**2
    whole = (height < 32 * one) & (width < 32 * one)
    assert share[whole].min() > 0.349 and share.mean() == pytest.approx(0.66, abs=0.02)
    assert (width / height).max() < 1.3335 and (height / width).max() < 1.3335


def test_switching_one_thing_on_leaves_the_draws_of_the_others() -> None:
    plain, full = ViewRecipe(0.125, True, 5), ViewRecipe(0.125, True, 5, randaugment=2, erase=0.5, mixup=0.2)
    assert np.array_equal(plain.parameters(1, INDEX, 32), full.parameters(1, INDEX, 32))
    alone = ViewRecipe(0.0, False, 5, mixup=0.2)
    for ours, theirs in zip(alone.mixtures(1, INDEX, 32), full.mixtures(1, INDEX, 32), strict=True):
        assert np.array_equal(ours, theirs)


def test_a_description_names_what_is_on() -> None:
    base = {"version": 2, "crop": 0.1, "flip": True, "seed": 2}
    assert ViewRecipe(0.1, True, 2, magnitude=9, mix_share=0.5).describe() == base
    assert ViewRecipe(0.1, True, 2, randaugment=2, mixup=0.2, plain_view=True).describe() == base | {
        "randaugment": 2,
        "magnitude": 5,
        "mixup": 0.2,
        "mix_share": 1.0,
        "plain_view": True,
    }


def test_the_strong_view_moves_as_the_weak_one_does() -> None:
    weak = ViewRecipe(0.25, True, 5, mixup=0.3, plain_view=True)
    strong, index = weak.strengthened(), np.arange(6, dtype=np.int64)
    assert (strong.randaugment, strong.magnitude, strong.erase) == (2, 10, 0.5)
    assert np.array_equal(weak.parameters(3, index, 8), strong.parameters(3, index, 8))
    for ours, theirs in zip(weak.mixtures(3, index, 8), strong.mixtures(3, index, 8), strict=True):
        assert np.array_equal(ours, theirs)
    assert strong.is_plain(0) and not np.array_equal(
        *(
            each.vary(np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8), 3, index)
            for each in (weak, strong)
        )
    )
