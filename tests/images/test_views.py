import numpy as np
import pytest

from edgekd.images.views import ViewRecipe, render

INDEX = np.arange(100)


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


def test_switched_off_means_the_plain_canvas() -> None:
    assert not ViewRecipe(crop=0.0, flip=False, seed=9).parameters(1, INDEX, 32).any()


def test_the_largest_crop_works_on_the_smallest_canvas() -> None:
    images = canvases(100, 8)
    assert render(images, ViewRecipe(0.5, True, 0).parameters(0, INDEX, 8)).shape == images.shape


def test_views_are_the_same_on_every_platform() -> None:
    assert ViewRecipe(0.125, True, 5).parameters(1, INDEX[:4], 32).tolist() == [
        [2, -2, 0],
        [-3, 3, 1],
        [-2, -3, 0],
        [2, -4, 1],
    ]


def test_a_recipe_describes_all_its_pixels_depend_on() -> None:
    assert ViewRecipe(0.1, True, 2).describe() == {"version": 1, "crop": 0.1, "flip": True, "seed": 2}
