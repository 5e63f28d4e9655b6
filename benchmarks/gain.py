"""What distilling brings: a student alone and distilled, equal steps, equal format, paired over seeds and test images.

Per data set and number of training images: one teacher (edgekd's own recipe unless options say otherwise), its cache,
and per seed the student alone and distilled, all by the commands' own code; beside them, with --plain, a KD loop in
plain PyTorch that shares nothing with edgekd's training but the student's modules. Every finished run in --work is
kept: the benchmark goes on where it was stopped. The interval is a bootstrap over seeds and test images.
"""

import json
import statistics
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from record import options, publish
from torch import nn

from edgekd.compute.calibration import calibration_error
from edgekd.compute.evaluate import logits_of
from edgekd.compute.formats import Format
from edgekd.config import Data, Distill, TrainTeacher
from edgekd.data.sources import open_data
from edgekd.images.imageset import ImageData
from edgekd.models.build import build
from edgekd.models.defaults import recipe_for
from edgekd.models.trained import load_network
from edgekd.recipes import distill, train_teacher
from edgekd.report import Silent
from edgekd.runs import Run
from edgekd.training.gain import Rows, interval


class Bench:
    """The runs of one data set at one number of training images."""

    def __init__(self, asked: Namespace, place: str, images: int) -> None:
        self.asked, self.place, self.images = asked, place, images
        self.name = f"{Path(place).name}{f'-{images}' if images else ''}"
        self.shared: dict[str, Any] = {
            "data": place,
            "limit": images or None,
            "threads": asked.threads,
            "precision": asked.precision,
            "memory_format": asked.memory_format,
            "runs": asked.work / "runs",
        }
        self.full: ImageData = open_data(Data(data=place), Silent())

    def finished(self, run: Run, config: Any, command: Any) -> Run:  # noqa: ANN401
        """The run, trained unless it is finished."""
        status = run.manifest().get("status") if run.is_there else None
        if status != "finished":
            command.run(config(name=run.path.name, resume=status is not None), Silent())
        return run

    def run(self, name: str) -> Run:
        return Run(self.asked.work / "runs" / name)

    def teacher(self) -> Run:
        extra = {"epochs": self.asked.teacher_epochs} if self.asked.teacher_epochs else {}
        if self.asked.teacher_smoothing is not None:
            extra["label_smoothing"] = self.asked.teacher_smoothing
        config = lambda **how: TrainTeacher(model=self.asked.teacher, **self.shared, **extra, **how)  # noqa: E731
        return self.finished(self.run(f"{self.name}-teacher"), config, train_teacher)

    def alone(self, student: str, seed: int, scale: float) -> Run:
        epochs = self.epochs(student, scale)
        config = lambda **how: TrainTeacher(model=student, seed=seed, **epochs, **self.shared, **how)  # noqa: E731
        return self.finished(self.run(f"{self.name}-{student}-x{scale:g}-alone-s{seed}"), config, train_teacher)

    def distilled(self, student: str, seed: int, scale: float) -> Run:
        epochs, asked = self.epochs(student, scale), self.asked
        how_taught: dict[str, Any] = {"caches": asked.work / "caches", "teacher": str(self.teacher().path)}
        if asked.method:
            how_taught["method"] = asked.method
        if asked.alpha is not None:
            how_taught["alpha"] = asked.alpha
        config = lambda **how: Distill(  # noqa: E731
            student=student, seed=seed, **epochs, **how_taught, **self.shared, **how
        )
        label = asked.method or "default"
        return self.finished(self.run(f"{self.name}-{student}-x{scale:g}-{label}-s{seed}"), config, distill)

    def epochs(self, student: str, scale: float) -> dict[str, int]:
        """Nothing for the recipe's own number of epochs; else that times `scale`."""
        alone = self.run(f"{self.name}-{student}-x1-alone-s0")
        if scale == 1:
            return {}
        return {"epochs": round(scale * int(alone.manifest()["config"]["epochs"]))}

    def right(self, run: Run) -> Rows:
        """Which images of the whole test set the run's network knows, in fp32; kept beside the run."""
        kept = run.path / "test-right.npy"
        if not kept.is_file():
            np.save(kept, np.concatenate([(said.argmax(1) == target).numpy() for said, target in self.said(run)]))
        return np.asarray(np.load(kept))

    def said(self, run: Run) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return list(logits_of(load_network(run), self.full.test, 250, Format()))


def plain(bench: Bench, student: str, seed: int, steps: int, teacher: Run | None) -> Rows:
    """The student alone (`teacher` None) or distilled (kd, T = 4, half and half) by a plain loop: fp32, NCHW, SGD."""
    kept = bench.asked.work / f"plain-{bench.name}-{student}-{steps}-{'kd' if teacher else 'alone'}-s{seed}.npy"
    if kept.is_file():
        return np.asarray(np.load(kept))
    torch.manual_seed(seed)
    data = open_data(Data(data=bench.place, limit=bench.images or None), Silent())
    recipe, network = recipe_for(student), build(student, data)
    decayed = [each for each in network.parameters() if each.ndim > 1]
    others = [each for each in network.parameters() if each.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if recipe.optimizer == "sgd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(groups, lr=recipe.lr, momentum=0.9, nesterov=True)
    else:
        optimizer = torch.optim.AdamW(groups, lr=recipe.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.lr, steps, pct_start=0.15, cycle_momentum=False, anneal_strategy="linear"
    )
    images = torch.from_numpy(data.train.pixels.gather(data.train.index))
    targets = torch.from_numpy(data.train.targets)
    guide = load_network(teacher).eval() if teacher else None
    batch, shift = min(recipe.batch_size, len(targets)), round(recipe.crop * images.shape[1])
    network.train()
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(order) < batch:
            order = torch.randperm(len(targets))
        rows, order = order[:batch], order[batch:]
        shown = _varied(images[rows], shift)
        logits = network(shown)
        loss = F.cross_entropy(logits, targets[rows])
        if guide is not None:
            with torch.no_grad():
                answer = guide(shown)
            soft = F.kl_div(F.log_softmax(logits / 4, 1), F.softmax(answer / 4, 1), reduction="batchmean") * 16
            loss = 0.5 * loss + 0.5 * soft
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    network.eval()
    found = _known(network, bench.full)
    np.save(kept, found)
    return found


def _varied(images: torch.Tensor, shift: int) -> torch.Tensor:
    """Random shifts with reflected edges and random flips; uint8 [n, S, S, C] in and out."""
    padded = F.pad(images.permute(0, 3, 1, 2).float(), [shift] * 4, mode="reflect").to(torch.uint8)
    side = images.shape[1]
    cut = [
        each[:, top : top + side, left : left + side]
        for each, (top, left) in zip(padded, torch.randint(0, 2 * shift + 1, (len(images), 2)).tolist(), strict=True)
    ]
    shown = torch.stack(cut).permute(0, 2, 3, 1)
    turned = (torch.rand(len(shown)) < 0.5)[:, None, None, None]
    return torch.where(turned, shown.flip(2), shown)


@torch.inference_mode()
def _known(network: nn.Module, data: ImageData) -> Rows:
    found = []
    for start in range(0, len(data.test), 500):
        rows = slice(start, start + 500)
        said = network(torch.from_numpy(data.test.pixels.gather(data.test.index[rows])))
        found.append((said.argmax(1) == torch.from_numpy(data.test.targets[rows])).numpy())
    return np.concatenate(found)


def _row(bench: Bench, student: str, scale: float) -> dict[str, Any]:
    asked, seeds = bench.asked, range(bench.asked.seeds)
    alone = [bench.alone(student, seed, scale) for seed in seeds]
    teacher = bench.teacher()
    taught = [bench.distilled(student, seed, scale) for seed in seeds]
    before, after = (np.stack([bench.right(run) for run in runs]) for runs in (alone, taught))
    gain, low, high = interval(after.astype(float) - before.astype(float))
    logits, target = (torch.cat(each) for each in zip(*bench.said(teacher), strict=True))
    row = {
        "data": bench.name,
        "student": student,
        "steps": alone[0].manifest()["result"]["steps"],
        "teacher": f"{float((logits.argmax(1) == target).float().mean()):.2%}",
        "teacher's calibration error": f"{calibration_error(logits, target):.3f}",
        "alone": _spread(before),
        "distilled": _spread(after),
        "gain": f"{100 * gain:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]",
    }
    if asked.plain:
        steps = int(alone[0].manifest()["result"]["steps"])
        free = np.stack([plain(bench, student, seed, steps, None) for seed in seeds])
        led = np.stack([plain(bench, student, seed, steps, teacher) for seed in seeds])
        row |= {"plain loop, alone": _spread(free), "plain loop, kd": _spread(led)}
    return row


def _spread(right: Rows) -> str:
    by_seed = [float(each) for each in right.mean(1)]
    spread = statistics.stdev(by_seed) if len(by_seed) > 1 else 0.0
    return f"{statistics.mean(by_seed):.2%} ± {spread:.2%}"


def main() -> None:
    """Train what is missing and publish the table."""
    parser = options(__doc__)
    parser.add_argument("--data", action="append", required=True, help="may be repeated")
    parser.add_argument("--images", default="0", help="numbers of training images, 0 for all, as 0,2000")
    parser.add_argument("--students", default="tiny-cnn,resnet8")
    parser.add_argument("--scales", default="1", help="factors on the recipe's epochs, as 1,3")
    parser.add_argument("--teacher", default="resnet9")
    parser.add_argument("--teacher-epochs", type=int)
    parser.add_argument("--teacher-smoothing", type=float)
    parser.add_argument("--method")
    parser.add_argument("--alpha", type=float)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--plain", action="store_true", help="also the plain loop")
    parser.add_argument("--work", type=Path, required=True, help="folder of runs and caches, kept")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--memory-format", default="channels-last")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    rows = []
    for place in asked.data:
        for images in map(int, asked.images.split(",")):
            bench = Bench(asked, place, images)
            for student in asked.students.split(","):
                for scale in map(float, asked.scales.split(",")):
                    rows.append(_row(bench, student, scale))
                    print(json.dumps(rows[-1]), flush=True)
    about = (
        f"Test accuracy in fp32, mean ± sd over {asked.seeds} seeds; gain in points, 95 % bootstrap interval over "
        f"seeds and test images. Training in {asked.precision}, {asked.memory_format}; everything else by default"
        f"{', method ' + asked.method if asked.method else ''}."
    )
    publish("gain", "What distilling brings", about, rows, asked.threads, is_trial=asked.trial)


if __name__ == "__main__":
    main()
