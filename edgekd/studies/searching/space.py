"""The space of the search: parametric students, and how they are taught."""

from dataclasses import asdict, dataclass
from typing import Any, Protocol

from edgekd.models.shape_names import Shape

FAMILIES = ("plain", "inverted")
WIDTHS, DEPTHS, EXPANSIONS, KERNELS = (4, 96), (3, 12), (1, 6), (3, 5)
ALPHAS, TEMPERATURES = (0.5, 0.7, 0.9, 1.0), (2.0, 4.0, 8.0)
"""Of kd: the weight of the teacher, and how soft both are."""
FIXED = "model"
"""The attribute of a trial whose model is given, not drawn."""


class Drawing(Protocol):
    """What draws: an Optuna trial."""

    @property
    def user_attrs(self) -> dict[str, Any]:
        """What is known of it beside its parameters."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """A whole number."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:  # noqa: ANN401
        """One of these."""


@dataclass(frozen=True)
class Candidate:
    """A student and how it is taught."""

    model: str
    alpha: float
    temperature: float

    @property
    def options(self) -> dict[str, Any]:
        """As options of `edgekd distill`."""
        found = asdict(self)
        return {"student": found.pop("model"), **found}


def draw(trial: Drawing) -> Candidate:
    """The candidate of a trial."""
    fixed = trial.user_attrs.get(FIXED)
    model = str(fixed) if fixed else _shape(trial).name
    return Candidate(
        model,
        float(trial.suggest_categorical("alpha", ALPHAS)),
        float(trial.suggest_categorical("temperature", TEMPERATURES)),
    )


def _shape(trial: Drawing) -> Shape:
    family = str(trial.suggest_categorical("family", FAMILIES))
    width = trial.suggest_int("width", *WIDTHS, log=True)
    depth = trial.suggest_int("depth", *DEPTHS)
    kernel = int(trial.suggest_categorical("kernel", KERNELS))
    return Shape(
        family, width, depth, kernel, trial.suggest_int("expansion", *EXPANSIONS) if family == "inverted" else 1
    )


def smallest() -> list[str]:
    """The model of each family that costs least."""
    return [Shape(family, WIDTHS[0], DEPTHS[0], KERNELS[0], EXPANSIONS[0]).name for family in FAMILIES]
