"""Every model has a recipe of its own kind."""

from edgekd.models.defaults import recipe_for
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
