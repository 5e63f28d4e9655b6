"""The INT8 file of a network that was trained on the grid: the same scales and zero points, by the same writer."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import torch
from onnx import ModelProto
from torch import fx

from edgekd.errors import CheckpointError
from edgekd.exporting.onnx import INPUT, OUTPUT, write_onnx
from edgekd.models.network import Network
from edgekd.quantization.calibration import Quantised
from edgekd.quantization.graph import read_graph
from edgekd.quantization.grid import Array, Steps
from edgekd.quantization.kernels import Kernels
from edgekd.quantization.placement import fakes_of, without_fakes
from edgekd.quantization.ranges import observe, ranges_of
from edgekd.quantization.writer import activation_grid, weight_grid, write_int8

BATCH = 64
MOVING = ("Reshape", "Flatten", "Squeeze", "Transpose", "MaxPool", "AveragePool")
"""What they give lies on the grid of their input."""


class LearntGrid:
    """A network trained on the grid; `answers` are what it says there."""

    def __init__(self, network: Network, opset: int) -> None:
        if not isinstance(network.backbone, fx.GraphModule):
            raise CheckpointError(f"{network.spec.name}: was not trained on the INT8 grid", "give another run")
        self.backbone = network.backbone
        self.opset = opset

    def answers(self, inputs: Array) -> Array:
        """Logits [n, classes] of prepared images, rounded in every place."""
        self.backbone.eval()
        with torch.inference_mode():
            parts = [
                self.backbone(torch.from_numpy(inputs[start : start + BATCH])) for start in range(0, len(inputs), BATCH)
            ]
        logits: Array = torch.cat(parts).float().numpy()
        return logits

    def quantise(self, inputs: Array, kernels: Kernels) -> Quantised:
        """The QDQ model on the learnt grid.

        `inputs` [n, ...] give ranges to tensors that the writer asks for though they are rounded elsewhere.
        """
        plain = without_fakes(self.backbone)
        with TemporaryDirectory(prefix="edgekd-grid-") as folder:
            path = Path(folder) / "tapped.onnx"
            example = torch.from_numpy(inputs[:2])
            write_onnx(plain.module, example, path, self.opset, {}, (OUTPUT, *plain.names))
            _keep_first_output(path)
            graph = read_graph(path)
        fakes = fakes_of(self.backbone)
        learnt: dict[str, Steps] = {name: fakes[name].steps(kernels.activations) for name in plain.names}
        for name in plain.on_input:
            learnt[INPUT] = fakes[name].steps(kernels.activations)
        for node in graph.nodes:
            if node.op_type in MOVING and node.input[0] in learnt:
                learnt.setdefault(node.output[0], learnt[node.input[0]])
        others = activation_grid(ranges_of(observe(graph, inputs), "minmax"), kernels.activations)
        grid = others | learnt | weight_grid(graph, kernels)
        model = write_int8(graph, grid, kernels)
        return Quantised(model, {name: grid[name] for name in (*learnt, *graph.weights) if name in grid}, None)


def _keep_first_output(path: Path) -> None:
    model: ModelProto = onnx.load(path)
    del model.graph.output[1:]
    onnx.save(model, path)


def unlearnt(quantised: Quantised) -> list[str]:
    """Tensors that the file rounds by a scale that no fake of the network had, in the file's names."""
    known = {float(np.float32(steps.scale)) for steps in quantised.grid.values() if steps.axis is None}
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in quantised.model.graph.initializer}
    rounded = [node for node in quantised.model.graph.node if node.op_type == "QuantizeLinear"]
    return sorted({node.input[0] for node in rounded if float(constants[node.input[1]]) not in known})
