"""How each model is trained when nothing else is requested."""

from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Literal

Optimizer = Literal["sgd", "adamw", "muon"]
RATES: dict[Optimizer, tuple[float, float]] = {"sgd": (0.1, 5e-4), "adamw": (1e-3, 5e-2), "muon": (0.02, 0.3)}
"""Peak learning rate and weight decay of an optimiser that is not the recipe's own."""


GENTLE = 0.1
"""A network that knows something already learns at this share of its own peak learning rate."""
GENTLE_EPOCHS = 6
FOLDED = 0.05
"""Without batch norms, folded into weights that are rounded, it learns at this share of that."""


@dataclass(frozen=True)
class Recipe:
    """A model's own training settings; sgd is Nesterov with momentum 0.9, `lr` the peak of the one-cycle.

    No recipe smooths labels: soft labels of a teacher trained so say less of how classes relate, and a student can end
    below one that learns alone (Mueller et al. 2019, arXiv 1906.02629; docs/results.md).
    `progressive` is the share of the input's side at which training begins, `crop` the largest shift as a share of the
    canvas: by default four pixels of 32, as usual for CIFAR. A small set is shown until `least_steps` are done.
    """

    optimizer: Optimizer
    lr: float
    weight_decay: float
    batch_size: int
    epochs: int
    label_smoothing: float
    progressive: float = 1.0
    crop: float = 0.125
    least_steps: int = 3_000

    def by(self, optimizer: "Optimizer | None") -> "Recipe":
        """The recipe with another optimiser, which brings its own rate and weight decay."""
        if optimizer is None or optimizer == self.optimizer:
            return self
        lr, weight_decay = RATES[optimizer]
        return replace(self, optimizer=optimizer, lr=lr, weight_decay=weight_decay)

    def further(self, *, is_folded: bool = False) -> "Recipe":
        """The recipe for training a network further that knows something already."""
        lr = self.lr * GENTLE * (FOLDED if is_folded else 1.0)
        return replace(self, lr=lr, epochs=GENTLE_EPOCHS, progressive=1.0)


# fmt: off
RECIPES: tuple[tuple[str, Recipe], ...] = (
    # pattern                     optimizer   lr      wd     batch epochs smoothing
    ("tiny-cnn",          Recipe("sgd",   0.2,  5e-4, 128,  24, 0.0)),
    ("plain-*",           Recipe("sgd",   0.2,  5e-4, 128,  24, 0.0)),
    ("inverted-*",        Recipe("sgd",   0.2,  5e-4, 128,  24, 0.0)),
    ("resnet8",           Recipe("sgd",   0.2,  5e-4, 128,  24, 0.0)),
    # How: docs/models.md, "How resnet9 was chosen".
    ("resnet9",           Recipe("muon",  0.02, 0.3,  256,  24, 0.0, 0.5, 0.0625, least_steps=500)),
    # P2's student underfits at P2's rate; ten times it, without dropout, gave 64.0 % alone in 30 epochs (one trial).
    ("custom-student",    Recipe("adamw", 1e-2, 1e-2, 100,  60, 0.0)),
    # P2, section 4: AdamW as torch has it, batch 100, 100 epochs.
    ("custom-*",          Recipe("adamw", 1e-3, 1e-2, 100, 100, 0.0)),
    # P4: Adam at 1e-3, batch 224, at most 15 epochs.
    ("rescnn-*",          Recipe("adamw", 1e-3, 0.0,  224,  15, 0.0)),
    # Transformers and their kin, after DeiT: AdamW, 1e-3 at batch 1,024 scaled to this batch.
    ("vit_*",             Recipe("adamw", 5e-4, 5e-2, 128,  50, 0.0)),
    ("deit*",             Recipe("adamw", 5e-4, 5e-2, 128,  50, 0.0)),
    ("swin*",             Recipe("adamw", 5e-4, 5e-2, 128,  50, 0.0)),
    ("mixer_*",           Recipe("adamw", 5e-4, 5e-2, 128,  50, 0.0)),
    ("convnext*",         Recipe("adamw", 1e-3, 5e-2, 128,  30, 0.0)),
    # Without batch norm plain SGD at a high rate diverges.
    ("vgg??",             Recipe("adamw", 5e-4, 5e-2, 128,  30, 0.0)),
    ("mobilenet*",        Recipe("sgd",   0.1,  1e-4, 128,  30, 0.0)),
    ("efficientnet*",     Recipe("sgd",   0.1,  1e-4, 128,  30, 0.0)),
    # ResNets and any other convolutional net: the usual CIFAR and ImageNet recipe, one cycle.
    ("*",                 Recipe("sgd",   0.1,  5e-4, 128,  30, 0.0)),
)
# fmt: on


Schedule = Literal["quick", "default", "patient"]
SCHEDULES: dict[Schedule, tuple[float, float]] = {"quick": (1 / 3, 1 / 6), "default": (1.0, 1.0), "patient": (4.0, 4.0)}
"""A schedule's factors on a recipe's epochs and on its least steps."""
MOST_STEPS = 100_000
"""Steps that the default schedule does not go beyond; the others by their factor."""


def epochs_of(recipe: Recipe, schedule: Schedule, steps_per_epoch: int) -> int:
    """The recipe's epochs under a schedule, within the steps that training needs at least and at most.

    Recipes are counted in epochs of sets of about 50,000 images; 24 epochs of 4,000 images would be 750 steps, in which
    nothing is learnt to the end.
    """
    factor, of_least = SCHEDULES[schedule]
    least = round(of_least * recipe.least_steps)
    at_most = max(1, int(factor * MOST_STEPS) // steps_per_epoch)
    return min(max(round(factor * recipe.epochs), -(-least // steps_per_epoch)), at_most)


def recipe_for(name: str) -> Recipe:
    """The recipe of the first pattern that fits the canonical name."""
    return next(recipe for pattern, recipe in RECIPES if fnmatch(name, pattern))
