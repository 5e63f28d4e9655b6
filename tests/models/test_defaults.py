"""Every model has a recipe of its own kind."""

import pytest

from edgekd.models.defaults import Schedule, epochs_of, recipe_for
from edgekd.models.names import USUAL


def test_every_usual_model_has_a_sensible_recipe() -> None:
    for name in USUAL:
        recipe = recipe_for(name)
        assert recipe.epochs <= 100
        assert 0 < recipe.lr <= 1


def test_the_papers_nets_train_as_the_papers_say() -> None:
    p2, p4 = recipe_for("custom-teacher-6"), recipe_for("rescnn-8")
    assert (p2.optimizer, p2.lr, p2.batch_size, p2.epochs) == ("adamw", 1e-3, 100, 100)
    assert (p4.optimizer, p4.lr, p4.batch_size, p4.epochs) == ("adamw", 1e-3, 224, 15)


def test_a_users_own_network_has_a_recipe() -> None:
    assert recipe_for("/somewhere/net.py:build").optimizer == "sgd"


@pytest.mark.parametrize(
    ("model", "schedule", "steps_per_epoch", "epochs"),
    [
        ("tiny-cnn", "default", 382, 24),  # CIFAR-10: the recipe's own
        ("tiny-cnn", "default", 31, 97),  # 4,050 images: 3,000 steps
        ("resnet9", "default", 15, 34),  # the same images in larger batches: 500 steps
        ("tiny-cnn", "quick", 31, 17),  # 500 steps
        ("resnet9", "quick", 15, 8),  # a third of the epochs are more than 83 steps
        ("tiny-cnn", "patient", 382, 96),
        ("tiny-cnn", "patient", 31, 388),  # 12,000 steps
        ("vit_tiny_patch16_224", "default", 9_000, 11),  # at most 100,000 steps
    ],
)
def test_a_small_set_is_shown_more_often(model: str, schedule: Schedule, steps_per_epoch: int, epochs: int) -> None:
    assert epochs_of(recipe_for(model), schedule, steps_per_epoch) == epochs
