"""A file that takes raw images: cropping, resizing, normalising and softmax are part of its graph."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from PIL import Image

from edgekd.cores import available_cores
from edgekd.errors import CheckFailed, UsageError
from edgekd.exporting.parity import Parity, difference
from edgekd.images.canvas import reform
from edgekd.runtimes.session import open_session

Answer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
IMAGES, PROBABILITIES, LOGITS = "images", "probabilities", "logits"
OLDEST = 18
"""Resize with antialiasing came with this opset."""
PREFIX = "raw_"
CUBIC, SUPPORT = -0.5, 2.0
"""Pillow's bicubic filter (Keys, 1981): its parameter, and how far it reaches."""
GAP = 3.0
"""`reducing_gap` of edgekd's canvases (images/canvas.py)."""
DESCRIBING_INPUT = ("mean", "std", "input_size", "canvas", "input_dtype", "layout", "normalises")


def embed(model: ModelProto, record: dict[str, Any]) -> ModelProto:
    """The model with uint8 images [batch, height, width, channels] of any size in, probabilities and logits out.

    All that edgekd does to an image is done: the centre square is cut out and brought to the canvas (bicubic,
    antialiased, rounded to bytes), brought to the input's side (linear, antialiased) and normalised as `record` says.
    Raises UsageError below opset 18.
    """
    opset = next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    if opset < OLDEST:
        raise UsageError(f"--embed-preprocess: opset {opset} has no antialiased Resize", f"give --opset {OLDEST}")
    made = ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    before, after = str(graph.input[0].name), str(graph.output[0].name)
    batch = graph.input[0].type.tensor_type.shape.dim[0]
    rows: int | str = batch.dim_value or batch.dim_param or "batch"
    inside = f"{PREFIX}logits" if after in (IMAGES, PROBABILITIES, LOGITS) else after
    _rename(graph, {before: f"{PREFIX}input", after: inside})
    start, constants = _preparation(record)
    end = [
        helper.make_node("Identity", [inside], [LOGITS]),
        helper.make_node("Softmax", [inside], [PROBABILITIES], axis=-1),
    ]
    nodes = [*start, *graph.node, *end]
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    graph.input.append(_value(IMAGES, TensorProto.UINT8, [rows, "height", "width", record["channels"]]))
    for name in (PROBABILITIES, LOGITS):
        graph.output.append(_value(name, TensorProto.FLOAT, [rows, len(record["classes"])]))
    onnx.checker.check_model(made)
    return made


def describe_raw(record: dict[str, Any]) -> dict[str, Any]:
    """The metadata of such a file: what says how to prepare an input is gone, since nothing is left to prepare."""
    return {key: value for key, value in record.items() if key not in DESCRIBING_INPUT} | {"preprocessing": "embedded"}


def _value(name: str, kind: int, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for node in graph.node:
        for side in (node.input, node.output):
            side[:] = [names.get(name, name) for name in side]


def _preparation(record: dict[str, Any]) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes from the raw images to the network's input, and their constants."""
    made = _Nodes()
    canvas, side = int(record["canvas"]), int(record["input_size"])
    mean, std = (np.asarray(record[key], np.float32).reshape(1, -1, 1, 1) * np.float32(255) for key in ("mean", "std"))
    shape = made.add("Shape", IMAGES)
    sides = [made.add("Gather", shape, made.whole(axis)) for axis in (1, 2)]
    short = made.add("Min", *sides)
    planes = made.add("Cast", made.add("Transpose", IMAGES, perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
    (down, across) = (_matrices(made, length, short, canvas) for length in sides)
    reduced = made.add("MatMul", made.add("MatMul", down[0], planes), made.add("Transpose", across[0], perm=[1, 0]))
    narrow = made.add("MatMul", _bytes(made, reduced), made.add("Transpose", across[1], perm=[1, 0]))
    last = _bytes(made, made.add("MatMul", down[1], _bytes(made, narrow)))
    if side != canvas:
        sizes = made.constant(np.array([side, side], np.int64))
        half: dict[str, Any] = {
            "mode": "linear",
            "antialias": 1,
            "axes": [2, 3],
            "coordinate_transformation_mode": "half_pixel",
        }
        last = made.add("Resize", last, "", "", sizes, **half)
    centred = made.add("Sub", last, made.constant(mean))
    made.add("Mul", centred, made.constant((1 / std).astype(np.float32)), to_name=f"{PREFIX}input")
    return made.nodes, made.constants


def _bytes(made: "_Nodes", pixels: str) -> str:
    """Rounded and clipped: Pillow keeps bytes between its passes."""
    rounded = made.add("Floor", made.add("Add", pixels, made.number(0.5)))
    return made.add("Clip", rounded, made.number(0), made.number(255))


def _matrices(made: "_Nodes", length: str, short: str, canvas: int) -> tuple[str, str]:
    """What Pillow does to one side of the image, as two matrices: box averages [m, length], the filter [canvas, m].

    Its `resize` with a box and `reducing_gap` averages whole groups of pixels first where the square is more than six
    times the canvas, and the filter reaches beyond the square into the image.
    """
    number, add = made.number, made.add
    whole, square = (add("Cast", each, to=TensorProto.FLOAT) for each in (length, short))
    begin = add("Floor", add("Div", add("Sub", whole, square), number(2)))
    scale = add("Div", square, number(canvas))
    group = add("Max", add("Floor", add("Div", scale, number(GAP))), number(1))
    reach = add("Mul", scale, number(SUPPORT - 0.5))
    first = add("Max", add("Floor", add("Sub", begin, reach)), number(0))
    last = add("Min", add("Ceil", add("Add", add("Add", begin, square), reach)), whole)
    count = add("Ceil", add("Div", add("Sub", last, first), group))
    pixels, groups = (add("Range", number(0), end, number(1)) for end in (whole, count))
    column = add("Unsqueeze", groups, made.constant(np.array([1], np.int64)))
    owner = add("Floor", add("Div", add("Sub", pixels, first), group))
    inside = add("And", add("Less", pixels, last), add("Equal", column, owner))
    box = _normalised(made, add("Cast", inside, to=TensorProto.FLOAT))
    step = add("Div", scale, group)
    places = made.constant((np.arange(canvas, dtype=np.float32) + np.float32(0.5))[:, None])
    centres = add("Add", add("Div", add("Sub", begin, first), group), add("Mul", places, step))
    off = add("Sub", add("Add", groups, number(0.5)), centres)
    distance = add("Abs", add("Div", off, add("Max", step, number(1))))
    return box, _normalised(made, _cubic(made, distance))


def _normalised(made: "_Nodes", matrix: str) -> str:
    """Rows that sum to 1."""
    return made.add("Div", matrix, made.add("ReduceSum", matrix, made.constant(np.array([1], np.int64)), keepdims=1))


def _cubic(made: "_Nodes", x: str) -> str:
    """Keys' cubic convolution kernel at distances `x` >= 0."""
    number, add = made.number, made.add
    square = add("Mul", x, x)
    slope = add("Sub", add("Mul", x, number(CUBIC + 2)), number(CUBIC + 3))
    near = add("Add", add("Mul", slope, square), number(1))
    inner = add("Add", add("Mul", add("Sub", x, number(5)), x), number(8))
    far = add("Mul", add("Sub", add("Mul", inner, x), number(4)), number(CUBIC))
    outside = add("Where", add("Less", x, number(SUPPORT)), far, number(0))
    return add("Where", add("Less", x, number(1)), near, outside)


class _Nodes:
    """Nodes and constants under construction; every tensor gets a name of its own."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._known: dict[bytes, str] = {}

    def add(self, kind: str, *inputs: str, to_name: str = "", **settings: Any) -> str:  # noqa: ANN401
        """Add a node; the name of its output."""
        name = to_name or f"{PREFIX}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **settings))
        return name

    def constant(self, values: NDArray[Any]) -> str:
        """Add a constant, or find an equal one; its name."""
        key = str(values.dtype).encode() + str(values.shape).encode() + values.tobytes()
        if key not in self._known:
            self._known[key] = f"{PREFIX}c{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(values, self._known[key]))
        return self._known[key]

    def number(self, value: float) -> str:
        """A float32 constant."""
        return self.constant(np.array(value, np.float32))

    def whole(self, value: int) -> str:
        """An int64 constant."""
        return self.constant(np.array(value, np.int64))


SIZES = ((150, 150), (640, 480))
"""Width and height of the images that such a file is tried on, beside canvases as they are."""
SAME, NEAR = 1e-3, 0.1
"""Largest logit difference, relative to the largest logit: of canvases, and of images that are resized."""


def prove(path: Path, canvases: NDArray[np.uint8], answer: Answer, tolerance: float) -> dict[str, Parity]:
    """Compare the file on raw images with edgekd's own preparation, `answer`: canvases [n, S, S, C] to logits.

    The images are the canvases [n, S, S, C] as they are and enlarged to SIZES. Raises CheckFailed where logits are
    off by more than `tolerance` on canvases, or NEAR on images that are resized.
    """
    found = {"canvas": difference(_answers(path, canvases), answer(canvases))}
    side, channels = canvases.shape[1], canvases.shape[3]
    for size in SIZES:
        pictures = [Image.fromarray(each.squeeze()).resize(size, Image.Resampling.BICUBIC) for each in canvases]
        raw = np.stack([np.asarray(each, np.uint8).reshape(size[1], size[0], channels) for each in pictures])
        squares = np.stack([reform(each.squeeze(), side, channels) for each in raw])
        found["{}x{}".format(*size)] = difference(_answers(path, raw), answer(squares))
    for name, parity in found.items():
        limit = tolerance if name == "canvas" else max(tolerance, NEAR)
        if not parity.max_difference <= limit:
            raise CheckFailed(
                f"{path}: logits of raw images ({name}) are off by {parity.max_difference:.2e} of the largest "
                f"(limit {limit:g})",
                "the preprocessing in the graph is not the training's: export it again, or feed prepared images",
            )
    return found


def _answers(path: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    session = open_session(path, available_cores())
    fixed = session.get_inputs()[0].shape[0]
    size = fixed if isinstance(fixed, int) and fixed > 0 else len(images)
    parts = []
    for start in range(0, len(images), size):
        part = images[start : start + size]
        filled = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
        parts.append(session.run([LOGITS], {IMAGES: filled})[0][: len(part)])
    return np.concatenate(parts)
