"""edgekd beside torchdistill, timm's distillation task and a plain loop: the same images, weights, recipe and threads.

Every training is a process of its own, and the contestants take turns. `python benchmarks/peers.py setup` makes the
environments of the other tools once (it needs a package index); they see this environment's torch.
"""

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from contestants import nets
from lineup import TITLES, WORKLOADS, Contestant, Figures, able
from record import options, publish
from safetensors.torch import save_file
from standings import rows_of

from edgekd.config import Data, TrainTeacher
from edgekd.data.sources import open_data
from edgekd.recipes import train_teacher
from edgekd.report import Silent
from edgekd.runs import Run, slug

SCRIPTS = Path(__file__).parent / "contestants"
TORCHDISTILL = ("1.1.4", "1.1.5")
NEEDED = ("pyyaml", "scipy", "cython")
"""What torchdistill needs beside torch, torchvision and numpy."""
RECIPE = {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4, "warmup": 0.15, "alpha": 0.9, "temperature": 4.0}


def setup(folder: Path) -> None:
    """Make the environments of the other tools where they are missing."""
    for version in TORCHDISTILL:
        venv = folder / f"torchdistill-{version}"
        python = venv / "bin" / "python"
        if not python.is_file():
            subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        words = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
        own = subprocess.run([str(python), "-c", words], check=True, capture_output=True, text=True).stdout.strip()
        (Path(own) / "torch-of-edgekd.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", f"torchdistill=={version}"], check=True)
        subprocess.run([*pip, *NEEDED], check=True)


def data_options(asked: argparse.Namespace) -> dict[str, Any]:
    """edgekd's options for the images: so many for training and for validation."""
    total = asked.images + asked.val
    return {"data": asked.data, "limit": total, "val_fraction": asked.val / total}


def write_images(asked: argparse.Namespace, folder: Path) -> int:
    """Hand edgekd's split to everyone; returns the number of classes."""
    data = open_data(Data(**data_options(asked)), Silent())
    parts: dict[str, Any] = {"mean": np.array(data.mean), "std": np.array(data.std)}
    for name, split in (("train", data.train), ("val", data.val)):
        parts |= {name: split.pixels.gather(split.index), f"{name}_targets": split.targets}
    np.savez(folder / "images.npz", **parts)
    return len(data.classes)


def trained_teacher(asked: argparse.Namespace) -> Path:
    """A teacher run trained on these images; the one of an earlier call when there is one."""
    data = Path(asked.data).name if Path(asked.data).exists() else asked.data
    runs = asked.venvs / "runs"
    name = slug(f"{asked.teacher}-{data}-{asked.images}-{asked.teacher_epochs}")
    run = Run(runs / name)
    model = f"{SCRIPTS / 'nets.py'}:{asked.teacher}"
    # its network is built from the file it was trained with, which another checkout may have had
    if run.is_there and run.manifest().get("status") == "finished" and run.manifest()["model"]["name"] == model:
        return run.path
    fit: dict[str, Any] = {"epochs": asked.teacher_epochs, "threads": asked.threads}
    config = TrainTeacher(model=model, runs=runs, name=name, overwrite=True, **fit, **data_options(asked))
    print(f"training the teacher {name}", file=sys.stderr)
    train_teacher.run(config, Silent())
    return run.path


def run_one(each: Contestant, seed: int, is_augmented: bool, shared: dict[str, Any], venvs: Path) -> Figures:
    """One training in a process of its own."""
    folder = Path(shared["folder"])
    with tempfile.TemporaryDirectory(dir=folder) as place:
        student = Path(place) / "student.safetensors"
        torch.manual_seed(seed)
        save_file(nets.resnet20(shared["classes"]).state_dict(), student)
        python = str(venvs / each.venv / "bin" / "python") if each.venv else sys.executable
        told = {"layout": each.layout, "precision": each.precision, "seed": seed, "is_augmented": is_augmented}
        told |= {"student": str(student), "cache": f"{place}/cache/logits" if each.is_cached else None}
        told |= {"result": f"{place}/result.json", "folder": place, "started": time.time()}
        (Path(place) / "images.npz").hardlink_to(folder / "images.npz")
        (Path(place) / "job.json").write_text(json.dumps(shared | told))
        words = [python, str(SCRIPTS / f"{each.script}.py"), f"{place}/job.json"]
        threads = {name: str(shared["threads"]) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        done = subprocess.run(words, env=os.environ | threads, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{each.name} ({each.format}) failed:\n{done.stderr[-3000:]}")
        found: Figures = json.loads((Path(place) / "result.json").read_text())
    return found | {"speed": found["images_per_epoch"] / median(found["epoch_s"][1:])}


def take_turns(workload: str, shared: dict[str, Any], asked: argparse.Namespace) -> dict[Contestant, list[Figures]]:
    """Every contestant once per repeat, with that repeat's seed; who goes first turns."""
    contestants = able(WORKLOADS[workload])
    found: dict[Contestant, list[Figures]] = {each: [] for each in contestants}
    for turn in range(asked.repeats):
        first = turn % len(contestants)
        for each in contestants[first:] + contestants[:first]:
            figures = run_one(each, turn, workload != "cached", shared, asked.venvs)
            found[each].append(figures)
            told = f"{figures['speed']:,.0f} images/s, top-1 {figures['val_top1']:.3f}, loss {figures['loss']:.4f}"
            print(f"{workload} {turn + 1}/{asked.repeats} {each.name} ({each.format}): {told}", file=sys.stderr)
    return found


def about(workload: str, asked: argparse.Namespace) -> str:
    """What was done, for the table's head."""
    shown = Path(asked.data).name if Path(asked.data).exists() else asked.data
    pixels = "nothing random in them" if workload == "cached" else "shifts of up to 4 pixels with reflection, flips"
    text = (
        f"{shown}: {asked.images:,} images, {pixels}; {asked.teacher} teaches resnet20, {asked.epochs} epochs, the "
        f"first not counted; {asked.repeats} seeds, taking turns. Same initial weights, batch 128, Nesterov SGD "
        "0.05 / 0.9 / 5e-4 (edgekd decays no biases and norms), one cycle, T = 4, 0.1 cross-entropy + 0.9 KD. Loaders "
        "in the training process (0 workers), images in memory: plain loop and timm crop whole batches by one gather, "
        "torchdistill takes slices of normalised tensors one by one. Both layouts are PyTorch's own setting, open to "
        "every tool. The gate: loss and accuracy within three standard errors (common spread of the seeds) of the "
        "plain loop's."
    )
    if workload != "live":
        text += (
            " Building is the teacher's pass with writing (of torchdistill: what its first epoch takes longer than a "
            "later one), of edgekd for the validation images too; the error of stored logits is relative to the "
            "largest logit of the same teacher in fp32."
        )
    if workload == "views":
        text += " torchdistill's cache is out: it gives every epoch the logits of the first epoch's crops."
    return text


def main() -> None:
    """Measure and publish, or set up."""
    parser = options(__doc__)
    parser.add_argument("action", nargs="?", choices=("run", "setup"), default="run")
    parser.add_argument("--venvs", type=Path, default=Path("~/.cache/edgekd-bench"), help="folder of environments")
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--data", default="shapes", help="as edgekd's --data")
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--val", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--teacher", default="resnet56", help="a function of contestants/nets.py")
    parser.add_argument("--teacher-epochs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    asked.venvs = asked.venvs.expanduser().resolve()
    if Path(asked.data).expanduser().exists():
        asked.data = str(Path(asked.data).expanduser().resolve())
    if asked.action == "setup":
        setup(asked.venvs)
        return
    teacher = trained_teacher(asked)
    with tempfile.TemporaryDirectory() as folder:
        shared = RECIPE | {"folder": folder, "classes": write_images(asked, Path(folder)), "threads": asked.threads}
        shared |= {"teacher_name": asked.teacher, "teacher_run": str(teacher), "data": data_options(asked)}
        shared |= {"epochs": asked.epochs, "batch_size": 128}
        for workload in asked.workloads.split(","):
            rows = rows_of(workload, take_turns(workload, shared, asked))
            name = f"peers-{workload}" + ("" if asked.teacher == "resnet56" else f"-{slug(asked.teacher)}")
            publish(name, TITLES[workload], about(workload, asked), rows, asked.threads, is_trial=asked.trial)


if __name__ == "__main__":
    main()
