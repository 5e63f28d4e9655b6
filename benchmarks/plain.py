"""Training steps of edgekd against a plain in-memory PyTorch loop, and against a DataLoader over image files.

The plain loop is the fair floor: uint8 images in memory (on a GPU: in its memory), crop and flip of whole batches,
fp32, PyTorch's own layout, dropout and optimiser. Each loop runs in its own process, since edgekd also sets how a
process keeps its memory; they take turns.
"""

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from record import options, publish, ratio, vectors
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2
from turns import in_turns, timed

from edgekd.compute.fast_layers import DepthwiseConv2d, Dropout, GlobalPool, PointwiseConv2d
from edgekd.compute.formats import Format, device_of
from edgekd.config import Data, TrainTeacher
from edgekd.data.loader import Batches
from edgekd.data.view_options import view_recipe
from edgekd.images.imageset import ImageData
from edgekd.images.sources import open_images
from edgekd.models.build import build
from edgekd.models.defaults import recipe_for
from edgekd.models.network import Network
from edgekd.objectives.supervised import Supervised
from edgekd.report import Silent
from edgekd.training.settings import format_of, settle, settle_format
from edgekd.training.update import LayerRate, Update, make_optimizer

BATCH = 100
MODELS = (
    "custom-student,custom-teacher-6,resnet8,resnet9,tiny-cnn,deit_tiny,mobilenetv3_small@64,rescnn-4@64,resnet18,"
    "efficientnet_b0@64"
)


def plain_network(name: str, data: ImageData, device: str) -> Network:
    """The network of PyTorch's own layers, in PyTorch's layout."""
    network = build(name, data)
    network.is_channels_last = False
    for module in network.modules():
        if isinstance(module, Dropout | DepthwiseConv2d | PointwiseConv2d | GlobalPool):
            module.__class__ = type(module).__base__
        if isinstance(module, nn.Dropout | nn.LeakyReLU):
            module.inplace = False
    assert network.spec.input_size == data.canvas, "the plain loop does not resize"
    return network.train().to(device)


def plain_logits(
    network: Network, images: torch.Tensor, layout: torch.memory_format = torch.contiguous_format
) -> torch.Tensor:
    """Logits [n, classes] of uint8 images [n, C, S, S] of the network's size, normalised as a tutorial does.

    The images lie in `layout` already; layers keep the layout of what they are given.
    """
    assert images.is_contiguous(memory_format=layout)
    logits: torch.Tensor = network.backbone((images.float() - network.offset).mul_(network.scale))
    return logits


def plain_steps(
    name: str, data: ImageData, device: str, layout: torch.memory_format = torch.contiguous_format
) -> Iterator[None]:
    """A tutorial's loop, one step per item; weights and images in `layout`, which is PyTorch's own unless given."""
    network = plain_network(name, data, device).to(memory_format=layout)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    images = torch.from_numpy(data.train.pixels.gather(data.train.index))
    side = data.canvas
    pad = side // 8
    planes = images.permute(0, 3, 1, 2).float().contiguous(memory_format=layout)
    padded = F.pad(planes, (pad, pad, pad, pad), mode="reflect").to(device, torch.uint8)
    targets = torch.from_numpy(data.train.targets).to(device)
    while True:
        for rows in torch.randperm(len(targets), device=device)[: len(targets) // BATCH * BATCH].split(BATCH):
            down, right = torch.randint(0, 2 * pad + 1, (2,)).tolist()
            batch = padded[rows][:, :, down : down + side, right : right + side]
            flipped = torch.where((torch.rand(BATCH, device=device) < 0.5)[:, None, None, None], batch.flip(3), batch)
            loss = F.cross_entropy(plain_logits(network, flipped, layout), targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield


def files_steps(name: str, data: ImageData, device: str) -> Iterator[None]:
    """The same with a DataLoader over image files and torchvision's transforms, as the papers train."""
    network = plain_network(name, data, device)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    side = data.canvas
    steps = [v2.PILToTensor(), v2.RandomCrop(side, side // 8, padding_mode="reflect"), v2.RandomHorizontalFlip()]
    with tempfile.TemporaryDirectory() as folder:
        pixels = data.train.pixels.gather(data.train.index)
        for number, (image, target) in enumerate(zip(pixels, data.train.targets, strict=True)):
            path = Path(folder, data.classes[target], f"{number}.png")
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(image.squeeze()).save(path)
        loader = DataLoader(ImageFolder(folder, v2.Compose(steps)), BATCH, shuffle=True, drop_last=True)
        while True:
            for images, target in loader:
                loss = F.cross_entropy(plain_logits(network, images.to(device)), target.to(device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                yield


def edgekd_loop(name: str, data: ImageData, device: str) -> tuple[Update, Batches, Format]:
    """edgekd's own step, what it trains on, and the format that its trial chose."""
    network = build(name, data)
    asked = TrainTeacher(batch_size=BATCH, optimizer="sgd", lr=0.05, progressive=1.0, threads=torch.get_num_threads())
    config = settle(replace(asked, torch_device=device), recipe_for(name), len(data.train))
    objective = Supervised(network).to(device_of(config))
    batches = Batches(data.train, view_recipe(config), BATCH, 0)
    config = settle_format(config, objective, next(batches.starting_at(0)).to(device), Silent())
    form = format_of(config)
    form.prepare(objective)
    update = Update(objective, make_optimizer(config, [LayerRate(list(network.parameters()), 1.0)]), config, form)
    return update, batches, form


def edgekd_steps(name: str, data: ImageData, device: str) -> Iterator[None]:
    """The steps of edgekd's own loop, without keeper and display."""
    update, batches, form = edgekd_loop(name, data, device)
    print(form.precision, form.memory_format, flush=True)
    for batch in batches.starting_at(0):
        update(batch, 0.3)
        yield


def products_steps(name: str, data: ImageData, device: str, form: Format) -> Iterator[None]:
    """Forward and backward passes of the convolutions and linear layers alone in a format: what a step cannot avoid.

    Each layer gets the input it had in a real pass, and a gradient of its output's shape.
    """
    device_of(TrainTeacher(threads=torch.get_num_threads()))
    network = build(name, data).to(device)
    form.prepare(network)
    seen: list[tuple[nn.Module, torch.Tensor]] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(lambda module, inputs, _: seen.append((module, inputs[0].detach())))
    network.train()(torch.from_numpy(data.train.pixels.gather(data.train.index[:BATCH])).to(device))
    calls = []
    # gradients go back as far as the first layer that learns
    is_learning = False
    for module, given in seen:
        module._forward_hooks.clear()
        if form.precision == "bf16" and not isinstance(module, DepthwiseConv2d):
            module, given = module.bfloat16(), given.bfloat16()
        calls.append((module, given.requires_grad_(is_learning), torch.ones_like(module(given)).detach()))
        is_learning |= next(module.parameters()).requires_grad
    while True:
        for module, given, gradient in calls:
            made = module(given)
            if made.requires_grad:
                made.backward(gradient)
            given.grad = None
        network.zero_grad()
        yield


LOOPS: dict[str, Callable[[str, ImageData, str], Iterator[None]]] = {
    "plain": plain_steps,
    "plain-channels-last": partial(plain_steps, layout=torch.channels_last),
    "files": files_steps,
    "edgekd": edgekd_steps,
}


def serve(loop: str, model: str, threads: int, device: str) -> None:
    """The process of one loop: for each count that comes in, go so many steps and tell the seconds per step.

    `loop` is one of LOOPS, or a format as edgekd tells it: then the products alone.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    name, _, side = model.partition("@")
    data = open_images(Data(data="shapes", canvas=int(side or 32)), Silent())
    made = LOOPS.get(loop) or partial(products_steps, form=Format(*loop.split()))  # type: ignore[arg-type]
    steps = made(name, data, device)
    ended = torch.cuda.synchronize if device == "cuda" else None
    for line in sys.stdin:
        print(timed(steps, int(line), ended), flush=True)


@dataclass
class Loop:
    """A loop in its own process."""

    process: "subprocess.Popen[str]"
    said: str = ""

    def __call__(self, count: int) -> float:
        """Seconds per step of the next `count`."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        while not (line := self.process.stdout.readline().strip()).replace(".", "").replace("e-", "").isdecimal():
            if not line:
                raise SystemExit("a loop's process has ended")
            self.said = line
        return float(line)


@contextmanager
def loop(name: str, model: str, threads: int, device: str) -> Iterator[Loop]:
    """The loop `name` with `model`, ended on leaving."""
    command = [sys.executable, __file__, "--serve", name, "--models", model, "--threads", str(threads)]
    command += ["--device", device]
    own = {"OMP_NUM_THREADS": str(threads)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | own
    ) as process:
        try:
            yield Loop(process)
        finally:
            process.terminate()


def compare(model: str, other: str, threads: int, device: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Interleaved rounds of about `seconds` each; who goes first alternates."""
    with loop(other, model, threads, device) as slow, loop("edgekd", model, threads, device) as own:
        own(1)
        with loop(own.said, model, threads, device) as least:
            loops = (slow, own, least)
            count = max(2, math.ceil(seconds / max((each(3), each(3))[1] for each in loops)))
            times = in_turns(rounds, *(partial(each, count) for each in loops))
    name, _, side = model.partition("@")
    return {
        "model": name,
        "side": int(side or 32),
        "against": other,
        f"that, ms per step of {BATCH}": f"{median(times[0]) * 1000:.1f}",
        "edgekd, ms": f"{median(times[1]) * 1000:.1f}",
        "that / edgekd [95 %]": ratio(times[0], times[1]),
        "products alone, ms": f"{median(times[2]) * 1000:.1f}",
        "that / products": f"{median(times[0]) / median(times[2]):.2f}",
        "edgekd's format": own.said,
        "rounds": rounds,
    }


def main() -> None:
    """Measure and publish."""
    parser = options(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: a table of its own")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each loop in each round")
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--against", choices=("plain", "plain-channels-last"), default="plain")
    parser.add_argument("--files", default="custom-student", help="models also measured against a loop over files")
    parser.add_argument("--serve", help="be one loop's process")
    asked = parser.parse_args()
    if asked.serve:
        return serve(asked.serve, asked.models, asked.threads, asked.device)
    pairs = [(each, asked.against) for each in asked.models.split(",")]
    if asked.against == "plain":
        pairs += [(each, "files") for each in asked.files.split(",") if each]
    rows = [compare(*pair, asked.threads, asked.device, asked.rounds, asked.seconds) for pair in pairs]
    about = (
        "plain: uint8 images in memory, crops and flips of whole batches, fp32, PyTorch's default layout (channels "
        "first) unless it is told to use channels-last, one process. files: a DataLoader over PNG files with "
        "torchvision's transforms, as the papers train. edgekd: in the format its own trial chose, preparing each "
        "batch while the one before it trains. products: the convolutions and linear layers alone, forward and "
        "backward, in edgekd's format; no loop in that format takes less, so 'that / products' bounds the ratio."
    )
    own = {} if asked.device == "cpu" else {"gpu": torch.cuda.get_device_name()}
    rows = [row | own for row in rows]
    where = vectors() if asked.device == "cpu" else "gpu"
    told = ", told to use channels-last" if asked.against == "plain-channels-last" else ""
    title = f"Training steps against a plain PyTorch loop{told} ({where})"
    publish(f"{asked.against}-{where}", title, about, rows, asked.threads, is_trial=asked.trial)
    return None


if __name__ == "__main__":
    main()
