"""edgekd's own recipes as a contestant, watched through the Reporter that its command line also has."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from job import CHECKED, Job, hand_back, logit_error, read_job, weigh

from edgekd.cache.store import open_cache
from edgekd.config import CacheLogits, Distill
from edgekd.data.loader import make_batch
from edgekd.data.sources import open_data
from edgekd.data.view_options import view_recipe
from edgekd.models.trained import load_network
from edgekd.recipes import cache_logits, distill
from edgekd.report import Progress, Silent
from edgekd.runs import Run


class Watching(Silent):
    """A Reporter that notes when the first training step was done."""

    def __init__(self, started: float) -> None:
        super().__init__()
        self.started, self.first_step_s = started, 0.0

    @contextmanager
    def stage(self, title: str, total: int | None = None, unit: str = "") -> Iterator[Progress]:
        """A stage whose first step in training is noted."""
        yield _Steps(self, title)


class _Steps:
    def __init__(self, watching: Watching, title: str) -> None:
        self.watching, self.is_training = watching, title == "training"

    def advance(self, steps: int = 1, *, before: bool = False) -> None:
        """Note the first real step."""
        if self.is_training and steps and not self.watching.first_step_s:
            self.watching.first_step_s = time.time() - self.watching.started

    def show(self, **values: float) -> None:
        """Nothing to show."""


def shared_options(job: Job) -> dict[str, Any]:
    """Options of the cache and of the distillation."""
    layout = "channels-last" if job.precision == "fp32" else "auto"
    return {
        **job.data,
        "teacher": job.teacher_run,
        "crop": 0.125 if job.is_augmented else 0.0,
        "flip": job.is_augmented,
        "view_seed": job.seed,
        "threads": job.threads,
        "precision": job.precision,
        "memory_format": layout,
        "runs": Path(job.folder) / "runs",
    }


def build_cache(job: Job) -> dict[str, Any]:
    """Make the cache as `edgekd cache-logits` does; what it took and weighs."""
    folder = Path(str(job.cache))
    started = time.perf_counter()
    options = {"caches": folder.parent, "name": folder.name, "views": job.views, "store": "fp16"}
    cache_logits.run(CacheLogits(**shared_options(job), **options), Silent())
    seconds = time.perf_counter() - started
    return {"build_s": seconds} | weigh(folder, job.views * open_cache(folder).rows)


def check_cache(job: Job) -> dict[str, float]:
    """The error of some stored logits in the last view against the teacher in fp32."""
    cache = open_cache(Path(str(job.cache)))
    config = Distill(**shared_options(job))
    data = open_data(config, Silent())
    places = np.arange(min(CHECKED, len(data.train)))
    batch = make_batch(data.train, places, cache.views - 1, view_recipe(config))
    network = load_network(Run(Path(job.teacher_run))).eval()
    with torch.inference_mode():
        return {"logit_error": logit_error(cache.logits(batch.view, batch.index), network(batch.canvas))}


def distil(job: Job) -> dict[str, Any]:
    """Train as `edgekd distill` does; the seconds of each epoch are its own report's."""
    options: dict[str, Any] = {
        "student": f"{Path(__file__).parent / 'nets.py'}:resnet20",
        "student_weights": Path(job.student),
        "epochs": job.epochs,
        "batch_size": job.batch_size,
        "optimizer": "sgd",
        "lr": job.lr,
        "weight_decay": job.weight_decay,
        "warmup": job.warmup,
        "label_smoothing": 0.0,
        "alpha": job.alpha,
        "temperature": job.temperature,
        "seed": job.seed,
        "name": Path(job.result).stem,
        "live": job.cache is None,
    }
    watching = Watching(job.started)
    config = Distill(**shared_options(job), **options)
    if job.cache is not None:
        config = replace(config, cache=(job.cache,), teacher=None)
    distill.run(config, watching)
    rows = watching.epochs
    count = rows[0]["step"] * job.batch_size
    last = rows[-1]
    return {
        "epoch_s": [count / row["images_per_second"] for row in rows],
        "images_per_epoch": count,
        "first_step_s": watching.first_step_s,
        "loss": sum(float(last[name]) for name in ("ce", "kd")),
        "val_top1": last["val_top1"],
        "chosen": next((note.split(" (")[0] for note in watching.notes if note.startswith("format:")), ""),
    }


def main() -> None:
    """Train as the job says."""
    job = read_job()
    figures = build_cache(job) if job.cache else {}
    figures |= distil(job)
    if job.cache:
        figures |= check_cache(job)
    hand_back(job, figures)


if __name__ == "__main__":
    main()
