from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgekd.config import CacheLogits, Distill, Finetune, TrainTeacher, Views
from edgekd.data.view_options import settle_views, view_recipe
from edgekd.declaration import as_dict, from_dict
from edgekd.errors import UsageError
from edgekd.images.views.recipe import ViewRecipe
from edgekd.models.defaults import RATES, recipe_for
from edgekd.training.settings import settle, weigh_classes

ALL: dict[str, Any] = {
    "resized_crop": 0.35,
    "randaugment": 2,
    "magnitude": 7,
    "erase": 0.25,
    "mixup": 0.2,
    "cutmix": 1.0,
    "mix_share": 0.5,
    "plain_view": True,
}


def settled(known: dict[str, Any], **given: Any) -> ViewRecipe:  # noqa: ANN401
    return view_recipe(settle_views(Views(**given), known))


def test_views_that_nobody_chose_are_shifts_and_flips() -> None:
    assert settled({}) == ViewRecipe(0.125, True, 0)


def test_views_left_open_are_the_caches() -> None:
    recipe = ViewRecipe(0.0, False, 4, **ALL)
    assert settled(recipe.describe()) == recipe


def test_what_a_cache_does_not_know_of_is_off() -> None:
    assert settled({"version": 1, "crop": 0.25, "flip": False, "seed": 3}) == ViewRecipe(0.25, False, 3)


def test_what_is_given_wins_over_the_caches() -> None:
    known = ViewRecipe(0.125, True, 4, mixup=0.2).describe()
    assert settled(known, mixup=0.0, erase=0.5, view_seed=1) == ViewRecipe(0.125, True, 1, erase=0.5)


def test_shift_and_zoom_switch_each_other_off() -> None:
    assert settled({}, resized_crop=0.35).crop == 0
    assert settled(ViewRecipe(0.125, True, 0).describe(), resized_crop=0.35).crop == 0
    assert settled(ViewRecipe(0.0, True, 0, resized_crop=0.35).describe(), crop=0.25).resized_crop == 0


@pytest.mark.parametrize("command", [Views, TrainTeacher, CacheLogits, Distill, Finetune])
def test_shift_and_zoom_cannot_both_be_asked_for(command: type[Views]) -> None:
    with pytest.raises(UsageError, match="--crop and --resized-crop"):
        command(crop=0.1, resized_crop=0.5)


def test_a_manifest_from_before_an_option_gives_the_views_it_had() -> None:
    stored = as_dict(settle(TrainTeacher(seed=3), recipe_for("resnet8"), 100))
    for name in ALL:
        del stored[name]
    assert view_recipe(from_dict(TrainTeacher, stored, "here")) == ViewRecipe(0.125, True, 3)


def test_settled_views_survive_the_manifest() -> None:
    config = settle(Distill(runs=Path("x"), **ALL), recipe_for("resnet8"), 100)
    assert view_recipe(from_dict(Distill, as_dict(config), "here")) == view_recipe(config)
    assert view_recipe(config) == ViewRecipe(0.0, True, 0, **ALL)


def test_another_optimizer_brings_its_own_rate() -> None:
    recipe = recipe_for("mobilenetv3_small_100")
    usual, other = settle(TrainTeacher(), recipe, 1000), settle(TrainTeacher(optimizer="adamw"), recipe, 1000)
    assert (usual.optimizer, usual.lr, usual.weight_decay) == ("sgd", 0.1, 1e-4)
    assert (other.optimizer, other.lr, other.weight_decay) == ("adamw", *RATES["adamw"])
    given = settle(TrainTeacher(optimizer="adamw", lr=0.3, weight_decay=0.0), recipe, 1000)
    assert (given.lr, given.weight_decay) == (0.3, 0.0)
    assert settle(TrainTeacher(optimizer="sgd"), recipe, 1000) == replace(usual, optimizer="sgd")


def test_shifts_are_the_recipes_unless_given() -> None:
    recipe = recipe_for("resnet9")
    assert settle(TrainTeacher(), recipe, 1000).crop == recipe.crop == 0.0625
    assert settle(TrainTeacher(crop=0.25), recipe, 1000).crop == 0.25
    assert settle(TrainTeacher(resized_crop=0.5), recipe, 1000).crop == 0


def test_class_weights_are_those_of_the_training_images() -> None:
    targets = np.array([0, 0, 0, 1, -1])
    data = SimpleNamespace(train=SimpleNamespace(targets=targets), classes=("a", "b"))
    assert weigh_classes(TrainTeacher(), data) is None
    weights = weigh_classes(TrainTeacher(class_weights="balanced"), data)
    assert weights is not None
    assert weights.tolist() == pytest.approx([4 / 6, 2])
