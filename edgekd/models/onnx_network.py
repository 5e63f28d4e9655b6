"""An ONNX file as a network: images are laid out as its graph wants them and ONNX Runtime computes it on the CPU."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekd.errors import CheckpointError
from edgekd.models.network import Images, Network, Spec
from edgekd.report import Reporter
from edgekd.runtimes.runtime import Port, Session, run
from edgekd.runtimes.suffixes import describe, open_model

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation, 0-1, that a file from elsewhere is taken to expect."""
DTYPES = ("float32", "float16", "float64", "uint8")
"""Numbers that images may be fed as."""
SUM_TOLERANCE = 5e-3
"""Half-precision probabilities sum to 1 within this."""
ANOTHER = "export it again, with one input of images [batch, channels, side, side]"


@dataclass(frozen=True)
class Feeding:
    """How a file is fed: names, order of the axes, number format, its fixed batch (None: any) and its answer's kind."""

    input: str
    output: str
    layout: str
    dtype: str
    batch: int | None
    gives_probabilities: bool = False


class OnnxBackbone(nn.Module):
    """Prepared images, float [n, C, size, size], to logits [n, classes]; no parameters, no gradient.

    A file that gives probabilities gives their logarithms here, which are logits. Raises CheckpointError when ONNX
    Runtime fails.
    """

    def __init__(self, path: Path, feeding: Feeding) -> None:
        super().__init__()
        self.path = path
        self.feeding = feeding
        self._session: Session | None = None
        self._threads = 0

    def forward(self, images: Tensor) -> Tensor:
        """As many threads as torch has compute it; the answer is where the images are."""
        rows = torch.from_numpy(self.answers(self.laid_out(images))).to(images.device).float()
        # what underflowed to 0 is held at the smallest number there is, as its logarithm must be one
        return rows.clamp(min=torch.finfo(torch.float32).tiny).log() if self.feeding.gives_probabilities else rows

    def answers(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """What the file says of laid-out inputs [n, ...]: [n, classes]; a fixed batch is filled up by repeating."""
        if self._session is None or self._threads != torch.get_num_threads():
            self._threads = torch.get_num_threads()
            self._session = open_model(self.path, self._threads)
        return run(self._session, inputs, self.path, self.feeding.output)

    def laid_out(self, images: Tensor) -> NDArray[Any]:
        """Prepared images as the file's input takes them: its layout and number format."""
        pixels = images.detach().to("cpu", torch.float32)
        if self.feeding.layout == "NHWC":
            pixels = pixels.permute(0, 2, 3, 1)
        if self.feeding.dtype == "uint8":
            pixels = pixels.round().clamp(0, 255)
        return np.ascontiguousarray(pixels.numpy()).astype(self.feeding.dtype, copy=False)


def rebuild_onnx(path: Path, spec: Spec) -> Network:
    """The network that `open_onnx` described."""
    return Network(OnnxBackbone(path, Feeding(**spec.options)), spec)


def open_onnx(path: Path, images: Images, sample: Tensor, report: Reporter) -> Spec:
    """How to feed a file, by its metadata `edgekd`, else by its graph and these images; it is tried on some of them.

    `sample`: canvases, uint8 [n, S, S, C]. Assumptions are reported as warnings. Raises CheckpointError when
    it does not take images, or does not give as many numbers as there are classes.
    """
    record = describe(path).record or {}
    session = open_model(path, torch.get_num_threads())
    given = _input_of(session, path)
    feeding, channels, side = _feeding_of(given, session, path)
    channels = channels or len(record.get("mean", ())) or images.channels
    mean, std = _normalisation(record, feeding, channels, path)
    spec = Spec(
        name=record.get("model", path.stem),
        classes=tuple(record.get("classes", images.classes)),
        channels=record.get("channels", channels),
        input_size=side or record.get("input_size", images.canvas),
        mean=mean,
        std=std,
        options=asdict(feeding),
    )
    if spec.channels < images.channels:
        raise CheckpointError(f"{path}: takes grey images, these are in colour", "give --channels 1")
    feeding = _try(path, spec, session, sample)
    _tell_assumed(record, feeding, spec, path, report)
    if feeding.gives_probabilities:
        report.note(f"{path}: gives probabilities; their logarithms are taken as logits")
    return replace(spec, options=asdict(feeding))


def are_probabilities(rows: Tensor) -> bool:
    """Whether rows [n, classes] are a softmax's output: nothing below 0, every sum 1."""
    return bool((rows >= 0).all() and ((rows.sum(1) - 1).abs() < SUM_TOLERANCE).all())


def _input_of(session: Session, path: Path) -> Port:
    inputs = session.inputs
    if len(inputs) != 1:
        raise CheckpointError(f"{path}: has {len(inputs)} inputs, a classifier of images has one", ANOTHER)
    if len(inputs[0].shape or ()) != 4 or inputs[0].dtype not in DTYPES:
        raise CheckpointError(f"{path}: its input is {inputs[0].dtype} {list(inputs[0].shape)}, not images", ANOTHER)
    return inputs[0]


def _feeding_of(given: Port, session: Session, path: Path) -> tuple[Feeding, int | None, int | None]:
    """How the graph's input wants it; its channels and its side where they are fixed."""
    shape = [size if isinstance(size, int) and size > 0 else None for size in given.shape]
    is_last = shape[3] in (1, 3) and shape[1] not in (1, 3)
    channels, sides = (shape[3], shape[1:3]) if is_last else (shape[1], shape[2:])
    fixed = {side for side in sides if side is not None}
    if channels not in (None, 1, 3) or len(fixed) > 1:
        sizes = list(given.shape)
        raise CheckpointError(f"{path}: its input is {sizes}, not square images of 1 or 3 channels", ANOTHER)
    names = [each.name for each in session.outputs]
    output = "logits" if "logits" in names else names[0]
    feeding = Feeding(given.name, output, "NHWC" if is_last else "NCHW", given.dtype, shape[0])
    return feeding, channels, next(iter(fixed), None)


def _normalisation(
    record: dict[str, Any], feeding: Feeding, channels: int, path: Path
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """As the metadata says, none for a file that takes bytes, else ImageNet's (for grey images its average)."""
    if record.get("normalises", feeding.dtype == "uint8"):
        return (0.0,) * channels, (1 / 255,) * channels
    if "mean" in record and "std" in record:
        if not len(record["mean"]) == len(record["std"]) == channels:
            raise CheckpointError(
                f"{path}: takes {channels} channels, its metadata has {len(record['mean'])} means",
                "the file was changed: export it again",
            )
        return tuple(record["mean"]), tuple(record["std"])
    mean, std = IMAGENET
    return (mean, std) if channels == 3 else ((sum(mean) / 3,), (sum(std) / 3,))


def _tell_assumed(record: dict[str, Any], feeding: Feeding, spec: Spec, path: Path, report: Reporter) -> None:
    assumed = []
    if feeding.dtype == "uint8":
        assumed.append("it normalises bytes itself")
    elif not {"mean", "std"} <= record.keys():
        mean, std = (", ".join(f"{value:.3f}" for value in values) for values in (spec.mean, spec.std))
        assumed.append(f"ImageNet's normalisation (mean {mean}; std {std})")
    if "classes" not in record:
        assumed.append(f"classes in the data's order ({', '.join(spec.classes[:3])}, ...)")
    if assumed:
        report.warn(
            f"{path}: does not say how it was trained; assumed: {' and '.join(assumed)}; input {spec.input_size} x "
            f"{spec.input_size}. docs/teachers.md tells how to write it into the file"
        )


def _try(path: Path, spec: Spec, session: Session, sample: Tensor) -> Feeding:
    """The feeding with the output that has a number for each class, and whether these are probabilities."""
    known = Feeding(**spec.options)
    others = [each.name for each in session.outputs if each.name != known.output]
    shapes = []
    for name in (known.output, *others):
        feeding = replace(known, output=name)
        network = rebuild_onnx(path, replace(spec, options=asdict(feeding)))
        with torch.inference_mode():
            rows = network(sample)
        shapes.append(f"{rows.shape[1]} ({name})")
        if rows.shape[1] == len(spec.classes):
            return replace(feeding, gives_probabilities=are_probabilities(rows))
    raise CheckpointError(
        f"{path}: gives {', '.join(shapes)} numbers for an image, there are {len(spec.classes)} classes",
        "give a file trained on these classes, or the data it was trained on (--data)",
    )
