"""From the view options given to the ones used, and from those to the recipe of the views."""

from dataclasses import replace
from typing import Any, TypeVar

from edgekd.config import Distill, Views
from edgekd.declaration import AUTO, SWITCH
from edgekd.images.views.recipe import ViewRecipe

AnyViews = TypeVar("AnyViews", bound=Views)


USUAL: dict[str, Any] = {
    "crop": 0.125,
    "flip": "on",
    "resized_crop": 0.0,
    "randaugment": 0,
    "magnitude": 5,
    "erase": 0.0,
    "mixup": 0.0,
    "cutmix": 0.0,
    "mix_share": 1.0,
    "plain_view": False,
}
"""The default view options: four pixels of 32 and flips, the usual CIFAR augmentation."""


PATIENT_MIXUP, PATIENT_VIEWS = 0.2, 16
"""Of `--schedule patient`: one teacher, many mixed views (Beyer et al. 2022, arXiv 2106.05237, section 3)."""
QUICK_VIEWS = 2
"""Of a cache that `--schedule quick` has to write."""


def schedule_views(config: Distill) -> Distill:
    """Fill mixup and the number of views by the schedule, where they were left open and no cache is named."""
    if config.schedule != "patient" or config.cache:
        return config
    mixup = PATIENT_MIXUP if config.mixup is None and not config.cutmix else config.mixup
    views = config.views
    if views is None and not (config.live or config.peers):
        views = min(PATIENT_VIEWS, config.epochs or PATIENT_VIEWS)
    return replace(config, mixup=mixup, views=views)


def resolve_views(config: Views, known: dict[str, Any]) -> dict[str, Any]:
    """The view options: as given, else the known recipe's, else the usual ones."""
    given = {name: value for name in USUAL if (value := getattr(config, name)) not in (None, AUTO)}
    # Shift and zoom exclude each other, so asking for one switches the other off.
    if given.get("crop"):
        given.setdefault("resized_crop", 0.0)
    known = {
        name: SWITCH[not value] if name == "flip" and isinstance(value, bool) else value
        for name, value in known.items()
    }
    found = USUAL | {name: value for name, value in known.items() if name in USUAL} | given
    if found["resized_crop"] and "crop" not in given:
        found["crop"] = 0.0
    return found | {"view_seed": known.get("seed", 0) if config.view_seed is None else config.view_seed}


def settle_views(config: AnyViews, known: dict[str, Any]) -> AnyViews:
    """Fill the view options that were left open from a recipe's description (empty: the defaults)."""
    return replace(config, **resolve_views(config, known))


def view_recipe(config: Views) -> ViewRecipe:
    """The recipe of settled view options; what an older manifest does not know of is off."""
    return ViewRecipe(
        crop=config.crop or 0.0,
        flip=config.flip == "on",
        seed=config.view_seed or 0,
        resized_crop=config.resized_crop or 0.0,
        randaugment=config.randaugment or 0,
        magnitude=USUAL["magnitude"] if config.magnitude is None else config.magnitude,
        erase=config.erase or 0.0,
        mixup=config.mixup or 0.0,
        cutmix=config.cutmix or 0.0,
        mix_share=USUAL["mix_share"] if config.mix_share is None else config.mix_share,
        plain_view=bool(config.plain_view),
    )
