"""The first producer of a grid: calibration of a trained network on images, with what makes up for rounding."""

from collections.abc import Collection
from dataclasses import dataclass

from onnx import ModelProto

from edgekd.quantization.bias_correction import correct_biases
from edgekd.quantization.equalisation import equalise
from edgekd.quantization.graph import Graph
from edgekd.quantization.grid import Array, Steps
from edgekd.quantization.kernels import Kernels
from edgekd.quantization.ranges import METHODS, Method, Observed, observe, ranges_of
from edgekd.quantization.writer import activation_grid, weight_grid, write_int8


@dataclass(frozen=True)
class CalibrationRecipe:
    """How a network is calibrated: the rule for ranges, and which corrections are made."""

    method: Method = "minmax"
    equalised: bool = False
    corrected: bool = True
    per_channel: bool = True

    def in_words(self) -> str:
        """`mse ranges, equalised, biases corrected`."""
        parts = [f"{self.method} ranges"]
        parts += ["equalised"] if self.equalised else []
        parts += ["biases corrected"] if self.corrected else []
        return ", ".join([*parts, *([] if self.per_channel else ["one scale per layer"])])


@dataclass(frozen=True)
class Quantised:
    """A QDQ model, the grid it is on, and how that was found (None: in training)."""

    model: ModelProto
    grid: dict[str, Steps]
    recipe: CalibrationRecipe | None


class Calibrator:
    """One network and its calibration images; observations are made once for all recipes."""

    def __init__(self, graph: Graph, inputs: Array, kernels: Kernels) -> None:
        self.kernels = kernels
        self.inputs = inputs
        self.graph = graph
        self._plain: dict[str, Observed] = observe(graph, inputs)
        self._equal: tuple[Graph, dict[str, Observed]] | None = None
        self.pairs = 0
        equal = Graph(graph.model)
        self.pairs = equalise(equal, self._plain)
        if self.pairs:
            self._equal = equal, observe(equal, inputs)

    def recipes(self, method: Method | None = None) -> list[CalibrationRecipe]:
        """What is worth trying: every rule (or the one given), with and without equalisation where it applies."""
        ways = (False, True) if self.pairs else (False,)
        return [CalibrationRecipe(each, equalised=way) for each in ([method] if method else METHODS) for way in ways]

    def quantise(self, recipe: CalibrationRecipe, left_out: Collection[str] = ()) -> Quantised:
        """The network by this recipe; layers named in `left_out` stay float32."""
        start, observed = self.graph, self._plain
        if recipe.equalised and self._equal is not None:
            start, observed = self._equal
        graph = Graph(start.model)
        weights = weight_grid(graph, self.kernels, per_channel=recipe.per_channel)
        grid = activation_grid(ranges_of(observed, recipe.method), self.kernels.activations) | weights
        if recipe.corrected:
            correct_biases(
                graph, {name: each for name, each in grid.items() if _is_kept(name, graph, left_out)}, observed
            )
        return Quantised(write_int8(graph, grid, self.kernels, left_out), grid, recipe)


def _is_kept(weights: str, graph: Graph, left_out: Collection[str]) -> bool:
    """Whether no layer left in float32 reads these weights."""
    return not any(node.name in left_out for node in graph.consumers(weights))
